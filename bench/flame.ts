/**
 * A flame graph of a CPU profile: one SVG that needs nothing else. Width is time, what is called lies upon its caller; hovering tells names and shares.
 * Usage: node bench/flame.ts PROFILE.cpuprofile GRAPH.svg [TITLE]
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** What Node writes with --cpu-prof; times in µs. */
export interface CpuProfile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
    children?: number[];
  }[];
  startTime: number;
  samples: number[];
  /** Before each sample, since the one before it. */
  timeDeltas: number[];
}

export interface FlameOptions {
  title: string;
  /** Only what was sampled between these, on the profile's clock. */
  from?: number;
  to?: number;
}

/** A function in one place of the stacks. */
interface Frame {
  name: string;
  place: string;
  self: number;
  total: number;
  callees: Map<string, Frame>;
}

const WIDTH = 1400;
const ROW = 17;
const TOP = 48;
/** Letters of 11 px monospace. */
const LETTER = 6.7;
/** Narrower frames are left out, with all upon them. Pixels. */
const NARROWEST = 1;

/** Who a function belongs to, by where it is, and its colour. */
const COLOURS: readonly (readonly [owner: string, pattern: RegExp, colour: string])[] = [
  ['Node', /^node:/, '#8fb98b'],
  ['packages', /^node_modules\//, '#e0b15a'],
  ['own code', /\./, '#e2765a'],
  ['V8 and native', /^/, '#b9b4ad'],
];

export function flameGraph(profile: CpuProfile, options: FlameOptions): string {
  const root = framesOf(profile, options);
  const parts: string[] = [];
  const depth = draw(root, 0, 0, root.total, parts);
  const height = TOP + (depth + 1) * ROW + 8;
  const seconds = (root.total / 1e6).toFixed(1);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="11">`,
    `<title>${escaped(options.title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#fcfbf8"/>`,
    `<text x="6" y="18" font-size="14">${escaped(options.title)}</text>`,
    `<text x="6" y="36" fill="#555">${seconds} s of CPU; hover for shares; callers below</text>`,
    ...legend(),
    `<g transform="translate(0 ${height - ROW - 4})">`,
    ...parts,
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

/** The stacks, as one tree; what was idle is left out. */
function framesOf(
  { nodes, samples, timeDeltas, startTime }: CpuProfile,
  { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY }: FlameOptions,
): Frame {
  const self = new Map<number, number>();
  let time = startTime;
  for (const [index, id] of samples.entries()) {
    time += timeDeltas[index] ?? 0;
    // What was found stands for the time until the next look.
    const lasted = Math.max(0, timeDeltas[index + 1] ?? 0);
    if (time >= from && time < to) self.set(id, (self.get(id) ?? 0) + lasted);
  }
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const frameOf = (id: number, into: Map<string, Frame>): number => {
    const node = byId.get(id);
    if (node === undefined || node.callFrame.functionName === '(idle)') return 0;
    const { functionName, url, lineNumber } = node.callFrame;
    const place = url === '' ? '' : `${shortened(url)}:${lineNumber + 1}`;
    const name = functionName === '' ? '(anonymous)' : functionName;
    const key = `${name} ${place}`;
    const frame = into.get(key) ?? { name, place, self: 0, total: 0, callees: new Map() };
    into.set(key, frame);
    const own = self.get(id) ?? 0;
    const total = (node.children ?? []).reduce((sum, child) => sum + frameOf(child, frame.callees), own);
    frame.self += own;
    frame.total += total;
    return total;
  };
  const roots = new Map<string, Frame>();
  const first = nodes[0];
  if (first !== undefined) frameOf(first.id, roots);
  return [...roots.values()][0] ?? { name: '(root)', place: '', self: 0, total: 0, callees: new Map() };
}

/** Without what belongs to one machine: from the project's directory on, or from that of packages. */
function shortened(url: string): string {
  if (url.startsWith('node:')) return url;
  const inPackages = url.lastIndexOf('node_modules/');
  if (inPackages >= 0) return url.slice(inPackages);
  return /(?:^|\/)((?:src|bench|dist)\/.*)$/.exec(url)?.[1] ?? url.slice(url.lastIndexOf('/') + 1);
}

/** Adds a frame and all upon it; returns how deep they go. */
function draw(frame: Frame, level: number, left: number, all: number, parts: string[]): number {
  const width = all === 0 ? 0 : (frame.total / all) * WIDTH;
  if (width < NARROWEST) return level - 1;
  parts.push(drawn(frame, level, left, width, all));
  let at = left;
  let deepest = level;
  for (const callee of [...frame.callees.values()].sort((a, b) => b.total - a.total)) {
    deepest = Math.max(deepest, draw(callee, level + 1, at, all, parts));
    at += (callee.total / all) * WIDTH;
  }
  return deepest;
}

function drawn({ name, place, self, total }: Frame, level: number, left: number, width: number, all: number) {
  const share = (part: number) => `${((100 * part) / all).toFixed(2)} %`;
  const title = `${name}${place === '' ? '' : ` ${place}`}: ${share(total)}, itself ${share(self)}`;
  const y = -level * ROW;
  const letters = Math.floor((width - 4) / LETTER);
  const label = letters < 3 ? '' : name.length <= letters ? name : `${name.slice(0, letters - 1)}…`;
  const text =
    label === '' ? '' : `<text x="${(left + 2).toFixed(1)}" y="${y + 12}">${escaped(label)}</text>`;
  const box = `<rect x="${left.toFixed(1)}" y="${y}" width="${Math.max(0.2, width - 0.4).toFixed(1)}" height="${ROW - 1}" fill="${colourOf(place)}"/>`;
  return `<g><title>${escaped(title)}</title>${box}${text}</g>`;
}

function colourOf(place: string): string {
  return COLOURS.find(([, pattern]) => pattern.test(place))?.[2] ?? '#b9b4ad';
}

function legend(): string[] {
  return COLOURS.map(([owner, , colour], index) => {
    const x = WIDTH - 480 + index * 120;
    return `<rect x="${x}" y="27" width="11" height="11" fill="${colour}"/><text x="${x + 15}" y="36">${owner}</text>`;
  });
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

if (import.meta.main) {
  const [file, graph, title = file] = process.argv.slice(2);
  if (file === undefined || graph === undefined) {
    process.stderr.write('usage: node bench/flame.ts PROFILE.cpuprofile GRAPH.svg [TITLE]\n');
    process.exitCode = 2;
  } else {
    const read = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile;
    writeFileSync(graph, flameGraph(read, { title: title as string }));
  }
}
