// The page at /docs. It reads /openapi.json and shows it. The token stays in the memory of the page: it is in no
// address and in no storage of the browser.

const access = document.getElementById('access');
const token = document.getElementById('token');
const message = document.getElementById('message');

/** Removes the buttons that ask for a token a second time. The page sends no request but one. */
const withoutLogin = () => ({
  wrapComponents: { authorizeBtn: () => () => null, authorizeOperationBtn: () => () => null },
});

/** Reads the description, with a token if one was entered, and shows it or the reason why it cannot be shown. */
async function load() {
  const headers = token.value === '' ? {} : { Authorization: `Bearer ${token.value}` };
  const response = await fetch('openapi.json', { headers });
  if (response.status === 401) {
    access.hidden = false;
    message.textContent =
      token.value === '' ? 'This gateway needs a token of its admin listener.' : 'This token is not valid here.';
    token.focus();
    return;
  }
  if (!response.ok) throw new Error(`the gateway answered ${response.status}`);
  show(await response.json());
}

function show(spec) {
  access.remove();
  message.remove();
  token.value = '';
  SwaggerUIBundle({
    spec,
    dom_id: '#api',
    plugins: [withoutLogin],
    // The page only shows. A call changes real stock, and the calls of shops are on another listener.
    supportedSubmitMethods: [],
    validatorUrl: null,
    defaultModelsExpandDepth: 0,
  });
}

function start() {
  load().catch((error) => {
    access.hidden = false;
    message.textContent = `The description cannot be read: ${error.message}`;
  });
}

access.addEventListener('submit', (event) => {
  event.preventDefault();
  start();
});
start();
