/** A text in a page, with its line. */
export interface Located {
  readonly text: string;
  /** Counted from 1. */
  readonly line: number;
}

/** A fenced block. */
export interface Block extends Located {
  /** The word behind the opening fence; empty if there is none. */
  readonly language: string;
}

/** A page in Markdown, taken apart. */
export interface Page {
  /** Its path in the project. */
  readonly file: string;
  /** The targets that links to a part of the page may name. */
  readonly anchors: ReadonlySet<string>;
  /** The targets of all links. */
  readonly links: readonly Located[];
  /** The texts of inline code. */
  readonly spans: readonly Located[];
  readonly blocks: readonly Block[];
}

const FENCE = /^( *)(`{3,}|~{3,})([^\n`]*)\n([\s\S]*?)^ *\2[ \t]*$/gm;
/** Inline code; it may continue on the next line, but not in the next paragraph. */
const SPAN = /(?<!`)(`+)(?!`)((?:[^`\n]|\n(?!\s*\n)|(?!\1(?!`))`)+?)\1(?!`)/g;
const LINK = /\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|^\[[^\]]+\]:\s+(\S+)/gm;
const HEADING = /^#{1,6} +(.+?) *#*$/gm;

/** Takes a page apart. @param file its path in the project */
export function readPage(file: string, text: string): Page {
  const prose = blankedMatches(text, FENCE);
  const plain = blankedMatches(prose, SPAN);
  const at = (matched: RegExpMatchArray, source: string): number => source.slice(0, matched.index).split('\n').length;
  return {
    file,
    anchors: new Set([...anchorsOf(prose), ...[...plain.matchAll(/\bid="([^"]+)"/g)].map(([, id = '']) => id)]),
    links: [...plain.matchAll(LINK)].map((found) => ({ text: found[1] ?? found[2] ?? '', line: at(found, plain) })),
    spans: [...prose.matchAll(SPAN)].map((found) => ({
      text: (found[2] ?? '').replaceAll(/\s*\n\s*/g, ' ').trim(),
      line: at(found, prose),
    })),
    blocks: [...text.matchAll(FENCE)].map((found) => ({
      language: (found[3] ?? '').trim(),
      text: found[4] ?? '',
      line: at(found, text) + 1,
    })),
  };
}

/** Replaces matches by spaces, so that all other texts keep their lines. */
function blankedMatches(text: string, pattern: RegExp): string {
  return text.replaceAll(pattern, (matched) => matched.replaceAll(/[^\n]/g, ' '));
}

/** The anchors that GitHub makes from the headings. */
function anchorsOf(text: string): string[] {
  const seen = new Map<string, number>();
  return [...text.matchAll(HEADING)].map(([, heading = '']) => {
    const shown = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1');
    const slug = shown
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
      .replaceAll(' ', '-');
    const earlier = seen.get(slug) ?? 0;
    seen.set(slug, earlier + 1);
    return earlier === 0 ? slug : `${slug}-${earlier}`;
  });
}
