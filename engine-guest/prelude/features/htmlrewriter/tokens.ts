/**
 * What the handlers of `HTMLRewriter` are given: elements, text, comments and so on. Each writes into an `Edit`, which
 * crosses to the host once all handlers of its token have run.
 */
import { takeBody } from "../../body.ts";
import { HostBody, readWholeBody } from "../../hostbody.ts";
import { utf8Decode } from "../../native.ts";
import { iteratePairs, pairIterator } from "../../pairs.ts";
import {
  type Map, Promise, TypeError, isObject, isView, mapGet, mapSet, promiseThen, regExpExec, stringIndexOf, stringLower,
  stringStartsWith, toStr, webClass,
} from "../../primordials.ts";
import { peekResponse } from "../../response.ts";
import type { BodyState, BodyValue } from "../../state.ts";
import { type ReadableStream, isReadableStream, readWholeStream } from "../../streams/readable.ts";

/** A record of the host's: kind, id, the registrations that match (indices), and what the token is. */
export type TokenRecord = [kind: number, id: number, handlers: number[], ...rest: any[]];

/** Handlers of `onEndTag`, by the id of their element. */
export type Ends = Map<number, any[]>;

// The bits of `flags`, as the host has them.
const REMOVED = 1;
const CONTENT_REMOVED = 2;
const END_TAG_REMOVED = 4;
const HAS_CONTENT = 8;

/** Content that was given as a stream or a response, once it is read. */
interface Slot {
  text: string;
}

/** A flat list: what to put out, and whether it is HTML. */
type Contents = (string | Slot | boolean)[];

/** What happened to one token. */
export class Edit {
  id: number;
  flags = 0;
  touched = false;
  before: Contents | null = null;
  after: Contents | null = null;
  replacement: Contents | null = null;
  prepended: Contents | null = null;
  appended: Contents | null = null;
  attributes: (string | null)[] | null = null;
  name: string | null = null;
  #open = true;
  #pending: Promise<void>[] | null = null;

  constructor(id: number) {
    this.id = id;
  }

  /** The handlers are through; their token is of no use any more. */
  close(): void {
    this.#open = false;
  }

  check(): void {
    if (this.#open) return;
    throw new TypeError("a token of HTMLRewriter is valid only until its handler has ended");
  }

  /** About to be changed. */
  change(): void {
    this.check();
    this.touched = true;
  }

  /** Content as a list of one, read first if it is a stream or a response. */
  content(content: any, options: any): Contents {
    this.change();
    const html = isObject(options) && !!options.html;
    if (!isObject(content)) return [toStr(content), html];
    const response = peekResponse(content);
    if (response === null && !isReadableStream(content)) return [toStr(content), html];
    const slot: Slot = { text: "" };
    const state: BodyState = response ?? [content, "", false];
    const body = takeBody(state);
    const pending = (this.#pending ??= []);
    pending[pending.length] = promiseThen(wholeText(body), (text: string) => {
      slot.text = text;
    });
    return [slot, html];
  }

  isPending(): boolean {
    return this.#pending !== null;
  }

  async settled(): Promise<void> {
    const pending = this.#pending!;
    for (let i = 0; i < pending.length; i++) await pending[i];
  }

  /** The edit as the host reads it. */
  wire(): any[] {
    return [
      this.id, this.flags, plain(this.before), plain(this.after), plain(this.replacement), plain(this.prepended),
      plain(this.appended), this.attributes, this.name,
    ];
  }
}

function plain(contents: Contents | null): any {
  if (contents === null) return null;
  for (let i = 0; i < contents.length; i += 2) {
    const content = contents[i];
    if (typeof content === "object") contents[i] = content.text;
  }
  return contents;
}

function wholeText(body: BodyValue): Promise<string> {
  return new Promise((resolve, reject) => {
    if (body === null || typeof body === "string") return resolve(body ?? "");
    const waiter = (ok: boolean, value: any): void => (ok ? resolve(utf8Decode(value, false, false)) : reject(value));
    if (isView(body)) waiter(true, body);
    else if (body instanceof HostBody) readWholeBody(body, false, waiter);
    else readWholeStream(body as ReadableStream, waiter);
  });
}

/** Two lists, one after the other. */
function join(first: Contents, second: Contents | null): Contents {
  if (second === null) return first;
  for (let i = 0; i < second.length; i++) first[first.length] = second[i]!;
  return first;
}

function addBefore(edit: Edit, content: unknown, options: unknown): void {
  const added = edit.content(content, options);
  edit.before = edit.before === null ? added : join(edit.before, added);
}

function addAfter(edit: Edit, content: unknown, options: unknown): void {
  edit.after = join(edit.content(content, options), edit.after);
}

function replaceToken(edit: Edit, content: unknown, options: unknown): void {
  edit.replacement = edit.content(content, options);
  edit.flags |= REMOVED;
}

function removeToken(edit: Edit): void {
  edit.change();
  edit.flags |= REMOVED;
}

function isRemoved(edit: Edit): boolean {
  return (edit.flags & REMOVED) !== 0;
}

const TAG_NAME = /^[A-Za-z][^ \n\r\t\f/>]*$/;
const ATTRIBUTE_NAME = /^[^ \n\r\t\f/>=]+$/;

function checkTagName(name: unknown): string {
  const text = toStr(name);
  if (regExpExec(TAG_NAME, text) === null) throw new TypeError(`"${text}" is not a tag name`);
  return text;
}

function checkAttributeName(name: unknown): string {
  const text = stringLower(toStr(name));
  if (regExpExec(ATTRIBUTE_NAME, text) === null) throw new TypeError(`"${text}" is not an attribute name`);
  return text;
}

const attributesIterator = pairIterator("Attributes");

/** An element: its start tag, with a say about its content and its end tag. */
class Element {
  #edit: Edit;
  #ends: Ends;
  #tagName: string;
  #namespace: string;
  #canHaveContent: boolean;
  /** Flat: names and values. */
  #attributes: string[];

  constructor(record: TokenRecord, edit: Edit, ends: Ends) {
    this.#edit = edit;
    this.#ends = ends;
    this.#tagName = record[3];
    this.#namespace = record[4];
    this.#canHaveContent = record[5];
    this.#attributes = record[7];
  }

  get tagName(): string {
    this.#edit.check();
    return this.#tagName;
  }

  set tagName(name: string) {
    const text = checkTagName(name);
    this.#edit.change();
    this.#edit.name = text;
    this.#tagName = stringLower(text);
  }

  get attributes(): IterableIterator<[string, string]> {
    this.#edit.check();
    return iteratePairs(attributesIterator, () => this.#attributes, 0);
  }

  get removed(): boolean {
    this.#edit.check();
    return isRemoved(this.#edit);
  }

  get namespaceURI(): string {
    this.#edit.check();
    return this.#namespace;
  }

  #find(name: string): number {
    const attributes = this.#attributes;
    for (let i = 0; i < attributes.length; i += 2) if (attributes[i] === name) return i;
    return -1;
  }

  getAttribute(name: string): string | null {
    this.#edit.check();
    const at = this.#find(stringLower(toStr(name)));
    return at < 0 ? null : this.#attributes[at + 1]!;
  }

  hasAttribute(name: string): boolean {
    this.#edit.check();
    return this.#find(stringLower(toStr(name))) >= 0;
  }

  setAttribute(name: string, value: string): Element {
    const key = checkAttributeName(name);
    const text = toStr(value);
    this.#changeAttribute(key, text);
    const attributes = this.#attributes;
    const at = this.#find(key);
    if (at >= 0) attributes[at + 1] = text;
    else {
      attributes[attributes.length] = key;
      attributes[attributes.length] = text;
    }
    return this;
  }

  removeAttribute(name: string): Element {
    const key = stringLower(toStr(name));
    this.#edit.check();
    if (this.#find(key) < 0) return this;
    this.#changeAttribute(key, null);
    const attributes = this.#attributes;
    let to = 0;
    for (let i = 0; i < attributes.length; i += 2) {
      if (attributes[i] === key) continue;
      attributes[to++] = attributes[i]!;
      attributes[to++] = attributes[i + 1]!;
    }
    attributes.length = to;
    return this;
  }

  #changeAttribute(name: string, value: string | null): void {
    this.#edit.change();
    const changes = (this.#edit.attributes ??= []);
    changes[changes.length] = name;
    changes[changes.length] = value;
  }

  before(content: unknown, options: unknown = undefined): Element {
    addBefore(this.#edit, content, options);
    return this;
  }

  after(content: unknown, options: unknown = undefined): Element {
    addAfter(this.#edit, content, options);
    return this;
  }

  prepend(content: unknown, options: unknown = undefined): Element {
    const edit = this.#edit;
    const added = edit.content(content, options);
    if (!this.#canHaveContent) return this;
    edit.flags |= HAS_CONTENT;
    edit.prepended = join(added, edit.prepended);
    return this;
  }

  append(content: unknown, options: unknown = undefined): Element {
    const edit = this.#edit;
    const added = edit.content(content, options);
    if (!this.#canHaveContent) return this;
    edit.flags |= HAS_CONTENT;
    edit.appended = edit.appended === null ? added : join(edit.appended, added);
    return this;
  }

  setInnerContent(content: unknown, options: unknown = undefined): Element {
    const edit = this.#edit;
    const added = edit.content(content, options);
    if (!this.#canHaveContent) return this;
    edit.flags |= HAS_CONTENT;
    this.#removeContent();
    edit.prepended = added;
    return this;
  }

  replace(content: unknown, options: unknown = undefined): Element {
    replaceToken(this.#edit, content, options);
    this.#removeInside();
    return this;
  }

  remove(): Element {
    removeToken(this.#edit);
    this.#removeInside();
    return this;
  }

  removeAndKeepContent(): Element {
    removeToken(this.#edit);
    if (this.#canHaveContent) this.#edit.flags |= END_TAG_REMOVED;
    return this;
  }

  #removeInside(): void {
    if (!this.#canHaveContent) return;
    this.#removeContent();
    this.#edit.flags |= END_TAG_REMOVED;
  }

  #removeContent(): void {
    this.#edit.prepended = null;
    this.#edit.appended = null;
    this.#edit.flags |= CONTENT_REMOVED;
  }

  onEndTag(handler: any): void {
    this.#edit.check();
    if (typeof handler !== "function") throw new TypeError("onEndTag takes a function");
    if (!this.#canHaveContent) throw new TypeError(`<${this.#tagName}> has no end tag`);
    const { id } = this.#edit;
    const handlers = mapGet(this.#ends, id);
    if (handlers === undefined) mapSet(this.#ends, id, [handler]);
    else handlers[handlers.length] = handler;
  }
}
webClass(Element, 0);

/** The tag that ends an element. */
class EndTag {
  #edit: Edit;
  #name: string;

  constructor(record: TokenRecord, edit: Edit) {
    this.#edit = edit;
    this.#name = record[4];
  }

  get name(): string {
    this.#edit.check();
    return this.#name;
  }

  set name(name: string) {
    const text = checkTagName(name);
    this.#edit.change();
    this.#edit.name = text;
    this.#name = stringLower(text);
  }

  before(content: unknown, options: unknown = undefined): EndTag {
    addBefore(this.#edit, content, options);
    return this;
  }

  after(content: unknown, options: unknown = undefined): EndTag {
    addAfter(this.#edit, content, options);
    return this;
  }

  remove(): EndTag {
    removeToken(this.#edit);
    return this;
  }
}
webClass(EndTag, 0);

/** A part of a text node, as it was in the source: character references are not decoded. */
class Text {
  #edit: Edit;
  #text: string;
  #last: boolean;

  constructor(record: TokenRecord, edit: Edit) {
    this.#edit = edit;
    this.#text = record[3];
    this.#last = record[4];
  }

  get text(): string {
    this.#edit.check();
    return this.#text;
  }

  get lastInTextNode(): boolean {
    this.#edit.check();
    return this.#last;
  }

  get removed(): boolean {
    this.#edit.check();
    return isRemoved(this.#edit);
  }

  before(content: unknown, options: unknown = undefined): Text {
    addBefore(this.#edit, content, options);
    return this;
  }

  after(content: unknown, options: unknown = undefined): Text {
    addAfter(this.#edit, content, options);
    return this;
  }

  replace(content: unknown, options: unknown = undefined): Text {
    replaceToken(this.#edit, content, options);
    return this;
  }

  remove(): Text {
    removeToken(this.#edit);
    return this;
  }
}
webClass(Text, 0);

/** A comment. */
class Comment {
  #edit: Edit;
  #text: string;

  constructor(record: TokenRecord, edit: Edit) {
    this.#edit = edit;
    this.#text = record[3];
  }

  get text(): string {
    this.#edit.check();
    return this.#text;
  }

  set text(text: string) {
    const content = toStr(text);
    if (
      stringIndexOf(content, "-->") >= 0 || stringIndexOf(content, "--!>") >= 0 || stringStartsWith(content, ">") ||
      stringStartsWith(content, "->")
    ) throw new TypeError("the text of a comment must not end the comment");
    this.#edit.change();
    this.#edit.name = content;
    this.#text = content;
  }

  get removed(): boolean {
    this.#edit.check();
    return isRemoved(this.#edit);
  }

  before(content: unknown, options: unknown = undefined): Comment {
    addBefore(this.#edit, content, options);
    return this;
  }

  after(content: unknown, options: unknown = undefined): Comment {
    addAfter(this.#edit, content, options);
    return this;
  }

  replace(content: unknown, options: unknown = undefined): Comment {
    replaceToken(this.#edit, content, options);
    return this;
  }

  remove(): Comment {
    removeToken(this.#edit);
    return this;
  }
}
webClass(Comment, 0);

/** The document type. */
class Doctype {
  #edit: Edit;
  #parts: TokenRecord;

  constructor(record: TokenRecord, edit: Edit) {
    this.#edit = edit;
    this.#parts = record;
  }

  get name(): string | null {
    this.#edit.check();
    return this.#parts[3];
  }

  get publicId(): string | null {
    this.#edit.check();
    return this.#parts[4];
  }

  get systemId(): string | null {
    this.#edit.check();
    return this.#parts[5];
  }
}
webClass(Doctype, 0);

/** The end of the document. */
class DocumentEnd {
  #edit: Edit;

  constructor(edit: Edit) {
    this.#edit = edit;
  }

  append(content: unknown, options: unknown = undefined): DocumentEnd {
    addBefore(this.#edit, content, options);
    return this;
  }
}
webClass(DocumentEnd, 0);

/** The object for a record. */
export function makeToken(record: TokenRecord, edit: Edit, ends: Ends): unknown {
  switch (record[0]) {
    case 0:
      return new Element(record, edit, ends);
    case 1:
      return new EndTag(record, edit);
    case 2:
      return new Text(record, edit);
    case 3:
      return new Comment(record, edit);
    case 4:
      return new Doctype(record, edit);
    default:
      return new DocumentEnd(edit);
  }
}
