import eslint from '@eslint/js';
import stylistic from '@stylistic/eslint-plugin';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['node_modules/', '.local/', 'coverage/', 'dist/'] },
  eslint.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: {
          allowDefaultProject: [
            'eslint.config.js',
            '.dependency-cruiser.mjs',
            'scripts/run.mjs',
            'scripts/install.mjs',
            'src/http/page/page.js',
          ],
        },
      },
    },
    plugins: { '@stylistic': stylistic },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      // A method of a port may be asynchronous for other engines. No class relies on `this` of a detached method.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      eqeqeq: 'error',
      'max-depth': ['error', 3],
      // A file of this size most likely has a second reason to change, and a function of that size a second task.
      'max-lines': ['error', 300],
      'max-lines-per-function': ['error', 70],
      // Prettier does not break comments and texts.
      '@stylistic/max-len': ['error', { code: 120, ignoreUrls: true }],
    },
  },
  // Answers of a gateway are read field by field in tests and in the demo: their form is the subject of the test.
  {
    files: ['test/**', 'scripts/**'],
    rules: {
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unused-expressions': 'off',
    },
  },
  // `describe` is a function too, with all tests of a subject in it.
  { files: ['test/**'], rules: { 'max-lines-per-function': 'off' } },
  // Landed migrations stay as they are.
  { files: ['migrations/000*'], rules: { '@stylistic/max-len': 'off' } },
  {
    files: ['**/*.js', '**/*.mjs'],
    ...tseslint.configs.disableTypeChecked,
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
  {
    files: ['src/http/page/*.js'],
    languageOptions: { globals: { document: 'readonly', fetch: 'readonly', SwaggerUIBundle: 'readonly' } },
  },
);
