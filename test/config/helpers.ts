import assert from 'node:assert/strict';
import { type Loaded, loadText } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import type { RuntimeConfig } from '../../src/config/runtime.ts';
import type { TargetSettings } from '../../src/routing/target.ts';
import type { TreeNode } from '../../src/routing/tree.ts';

type Env = Record<string, string>;

/** Loads text as if it stood in a file of this directory. */
export function load(text: string, env: Env = {}): Loaded {
  return loadText(`${import.meta.dirname}/spillway.yaml`, text, { env, readSecrets: true });
}

export function configOf(text: string, env: Env = {}): RuntimeConfig {
  const loaded = load(text, env);
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(formatProblem).join('\n'));
  return loaded.config;
}

/** Every problem as `line:column path: message`; a file that loads fails the test. */
export function problemsOf(text: string, env: Env = {}): string[] {
  const loaded = load(text, env);
  assert.ok(!loaded.ok, 'the file loaded, and was expected not to');
  return loaded.problems.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
}

export function warningsOf(text: string): string[] {
  const loaded = load(text);
  assert.ok(loaded.ok);
  return loaded.warnings.map(({ line, path, message }) => `${line} ${path}: ${message}`);
}

/** A file with two providers, one model and no need for keys, and whatever else is to be in it. */
export function fileWith(more: string): string {
  return `version: 1
auth: none
providers:
  one: { adapter: vllm }
  two: { adapter: vllm, base_url: "http://127.0.0.1:9/v1/" }
${more}`;
}

export function treeOf(config: RuntimeConfig, name: string): TreeNode<TargetSettings> {
  const entry = config.models.get(name);
  assert.ok(entry, `no model ${name}`);
  return entry.tree;
}

export function targetsOf(node: TreeNode<TargetSettings>): TargetSettings[] {
  switch (node.kind) {
    case 'target':
      return [node.target];
    case 'fallback':
      return node.children.flatMap(targetsOf);
    case 'loadbalance':
      return node.children.flatMap((child) => targetsOf(child.node));
    case 'conditional':
      return node.conditions.flatMap(({ child }) => targetsOf(child));
  }
}
