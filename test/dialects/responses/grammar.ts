import assert from 'node:assert/strict';
import type OpenAI from 'openai';
import type { StreamEvent, WireResponse } from './kit.ts';

type Item = OpenAI.Responses.ResponseOutputItem;

/** What has been told of an item so far. */
interface Told {
  item: Item;
  /** Of a reasoning item's summary, or a message's content. */
  parts: { type: string; text: string; open: boolean; textDone: boolean; annotations: unknown[] }[];
  arguments: string;
  argumentsDone: boolean;
  done: Item | null;
}

/**
 * Holds events to the order that clients rely on: each thing is begun once, grows, is told whole, and ends; nothing is told of what has not begun or
 * has ended. Returns the last event's response, or null where the stream ended in an error.
 */
export function checkGrammar(events: readonly StreamEvent[]): WireResponse | null {
  const items: Told[] = [];
  let response: WireResponse | null = null;
  let over = false;

  for (const [index, event] of events.entries()) {
    assert.equal(over, false, `${event.type} after the end`);
    assert.equal((event as { sequence_number: number }).sequence_number, index, `number of ${event.type}`);
    if (event.type === 'error') {
      assert.equal(typeof event.message, 'string');
      over = true;
      response = null;
      continue;
    }
    if (index === 0) assert.equal(event.type, 'response.created');
    if (index === 1) assert.equal(event.type, 'response.in_progress');
    step(event, index);
  }
  assert.ok(over, 'the stream has an end');
  return response;

  function step(event: Exclude<StreamEvent, { type: 'error' }>, index: number): void {
    switch (event.type) {
      case 'response.created':
      case 'response.in_progress':
        assert.ok(index < 2);
        assert.equal(event.response.status, 'in_progress');
        assert.deepEqual(event.response.output, []);
        assert.equal('usage' in event.response, false, 'what it takes is known at its end');
        assert.equal(event.response.id, (events[0] as { response: WireResponse }).response.id);
        return;
      case 'response.output_item.added':
        begin(event);
        return;
      case 'response.output_item.done':
        finish(event);
        return;
      case 'response.reasoning_summary_part.added':
        addPart(itemOf(event, 'reasoning'), event.summary_index, event.part.type, event.part.text);
        return;
      case 'response.reasoning_summary_text.delta':
        grow(itemOf(event, 'reasoning'), event.summary_index, 'summary_text', event.delta);
        return;
      case 'response.reasoning_summary_text.done':
        tellWhole(itemOf(event, 'reasoning'), event.summary_index, 'summary_text', event.text);
        return;
      case 'response.reasoning_summary_part.done':
        endPart(itemOf(event, 'reasoning'), event.summary_index, event.part.text);
        return;
      case 'response.content_part.added': {
        const { part } = event;
        assert.ok(part.type === 'output_text' || part.type === 'refusal');
        const text = part.type === 'refusal' ? part.refusal : part.text;
        addPart(itemOf(event, 'message'), event.content_index, part.type, text);
        return;
      }
      case 'response.output_text.delta':
        assert.ok(event.delta !== '' || event.logprobs.length > 0, 'a delta brings something');
        grow(itemOf(event, 'message'), event.content_index, 'output_text', event.delta);
        return;
      case 'response.output_text.annotation.added': {
        const part = itemOf(event, 'message').parts[event.content_index];
        assert.ok(part?.open && part.type === 'output_text');
        assert.equal(event.annotation_index, part.annotations.length);
        part.annotations.push(event.annotation);
        return;
      }
      case 'response.output_text.done':
        tellWhole(itemOf(event, 'message'), event.content_index, 'output_text', event.text);
        return;
      case 'response.refusal.delta':
        grow(itemOf(event, 'message'), event.content_index, 'refusal', event.delta);
        return;
      case 'response.refusal.done':
        tellWhole(itemOf(event, 'message'), event.content_index, 'refusal', event.refusal);
        return;
      case 'response.content_part.done': {
        const { part } = event;
        assert.ok(part.type === 'output_text' || part.type === 'refusal');
        const told = itemOf(event, 'message');
        endPart(told, event.content_index, part.type === 'refusal' ? part.refusal : part.text);
        if (part.type === 'output_text') {
          assert.deepEqual(part.annotations, told.parts[event.content_index]?.annotations);
        }
        return;
      }
      case 'response.function_call_arguments.delta': {
        const told = itemOf(event, 'function_call');
        assert.equal(told.argumentsDone, false);
        assert.notEqual(event.delta, '');
        told.arguments += event.delta;
        return;
      }
      case 'response.function_call_arguments.done': {
        const told = itemOf(event, 'function_call');
        assert.equal(told.argumentsDone, false);
        assert.equal(event.arguments, told.arguments);
        told.argumentsDone = true;
        return;
      }
      case 'response.completed':
      case 'response.incomplete':
        assert.equal(`response.${event.response.status}`, event.type);
        assert.equal(event.response.incomplete_details === null, event.type === 'response.completed');
        assert.deepEqual(
          event.response.output,
          items.map(({ done }) => done),
          'the output is what was told of its items',
        );
        assert.ok(event.response.usage);
        for (const name of ['id', 'model', 'created_at'] as const) {
          assert.equal(event.response[name], (events[0] as { response: WireResponse }).response[name]);
        }
        response = event.response;
        over = true;
        return;
      default:
        assert.fail(`an event that no answer of ours has: ${event.type}`);
    }
  }

  function begin({ output_index: at, item }: OpenAI.Responses.ResponseOutputItemAddedEvent): void {
    assert.equal(at, items.length, 'items are numbered in the order in which they begin');
    assert.ok(!items.some((known) => known.item.id === item.id), 'each item has an id of its own');
    assert.equal((item as { status?: string }).status, 'in_progress');
    if (item.type === 'function_call') {
      assert.equal(item.arguments, '');
      assert.notEqual(item.call_id, '');
      const ids = items.map((known) => (known.item.type === 'function_call' ? known.item.call_id : ''));
      assert.ok(!ids.includes(item.call_id), 'each call has an id of its own');
    } else if (item.type === 'message') assert.deepEqual(item.content, []);
    else if (item.type === 'reasoning') assert.deepEqual(item.summary, []);
    else assert.fail(`an item of type ${item.type}`);
    items.push({ item, parts: [], arguments: '', argumentsDone: false, done: null });
  }

  function itemOf(
    { output_index: at, item_id: id }: { output_index: number; item_id: string },
    type: string,
  ) {
    const told = items[at];
    assert.ok(told, `an event of item ${at}, which has not begun`);
    assert.equal(told.item.id, id);
    assert.equal(told.item.type, type);
    assert.equal(told.done, null, 'an event of an item that has ended');
    return told;
  }

  function addPart(told: Told, at: number, type: string, text: string): void {
    assert.equal(at, told.parts.length);
    assert.equal(text, '');
    if (type === 'summary_text')
      assert.ok(
        told.parts.every(({ open }) => !open),
        'one part at a time',
      );
    told.parts.push({ type, text: '', open: true, textDone: false, annotations: [] });
  }

  function grow(told: Told, at: number, type: string, delta: string): void {
    const part = told.parts[at];
    assert.ok(part?.open && !part.textDone && part.type === type, 'a delta is of an open part of its type');
    part.text += delta;
  }

  function tellWhole(told: Told, at: number, type: string, text: string): void {
    const part = told.parts[at];
    assert.ok(part?.open && !part.textDone && part.type === type);
    assert.equal(text, part.text, 'the whole text is the sum of its deltas');
    part.textDone = true;
  }

  function endPart(told: Told, at: number, text: string): void {
    const part = told.parts[at];
    assert.ok(part?.open && part.textDone);
    assert.equal(text, part.text);
    part.open = false;
  }

  function finish({ output_index: at, item }: OpenAI.Responses.ResponseOutputItemDoneEvent): void {
    const told = items[at];
    assert.ok(told && told.done === null);
    assert.equal(item.id, told.item.id);
    assert.ok(
      told.parts.every(({ open }) => !open),
      'an item ends after its parts',
    );
    assert.notEqual((item as { status?: string }).status, 'in_progress');
    const texts = told.parts.map(({ text }) => text);
    if (item.type === 'reasoning')
      assert.deepEqual(
        item.summary.map(({ text }) => text),
        texts,
      );
    else if (item.type === 'message') {
      const content = item.content.map((part) => (part.type === 'refusal' ? part.refusal : part.text));
      assert.deepEqual(content, texts);
    } else if (item.type === 'function_call') {
      assert.ok(told.argumentsDone);
      assert.equal(item.arguments, told.arguments);
      assert.equal(item.call_id, (told.item as typeof item).call_id);
      assert.equal(item.name, (told.item as typeof item).name);
    }
    told.done = item;
  }
}
