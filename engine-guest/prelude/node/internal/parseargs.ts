/**
 * `util.parseArgs`.
 */
import {
  TypeError, arraySlice, hasOwn, objectCreate, objectKeys, stringIndexOf, stringSlice, stringStartsWith,
} from "../../primordials.ts";
import { checkObject, checkString, codedError, invalidArgType, invalidArgValue } from "./errors.ts";

interface Token {
  kind: "option" | "positional" | "option-terminator";
  index: number;
  name?: string;
  rawName?: string;
  value?: string | undefined;
  inlineValue?: boolean | undefined;
}

function find(options: any, short: string): string {
  const names = objectKeys(options);
  for (let i = 0; i < names.length; i++) if (options[names[i]!].short === short) return names[i]!;
  return short;
}

function isString(options: any, name: string): boolean {
  return hasOwn(options, name) && options[name].type === "string";
}

function readTokens(args: string[], options: any): Token[] {
  const tokens: Token[] = [];
  const add = (token: Token): void => {
    tokens[tokens.length] = token;
  };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") {
      add({ kind: "option-terminator", index: i });
      for (i++; i < args.length; i++) add({ kind: "positional", index: i, value: args[i] });
      break;
    }
    const next = args[i + 1];
    if (arg.length > 1 && arg[0] === "-" && arg[1] !== "-") {
      i += readShort(arg, i, next, options, add);
    } else if (stringStartsWith(arg, "--")) {
      const at = stringIndexOf(arg, "=");
      const name = stringSlice(arg, 2, at < 0 ? undefined : at);
      const rawName = `--${name}`;
      if (at >= 0) add({ kind: "option", name, rawName, index: i, value: stringSlice(arg, at + 1), inlineValue: true });
      else if (isString(options, name) && next !== undefined) {
        add({ kind: "option", name, rawName, index: i, value: next, inlineValue: false });
        i++;
      } else add({ kind: "option", name, rawName, index: i, value: undefined, inlineValue: undefined });
    } else {
      add({ kind: "positional", index: i, value: arg });
    }
  }
  return tokens;
}

/** `-a`, `-abc`, `-fvalue`; answers how many further arguments were taken. */
function readShort(arg: string, index: number, next: string | undefined, options: any, add: (token: Token) => void): number {
  for (let k = 1; k < arg.length; k++) {
    const name = find(options, arg[k]!);
    const rawName = `-${arg[k]}`;
    if (!isString(options, name)) {
      add({ kind: "option", name, rawName, index, value: undefined, inlineValue: undefined });
    } else if (k + 1 < arg.length) {
      const text = stringSlice(arg, k + 1);
      const value = k === 1 || text[0] !== "=" ? text : stringSlice(text, 1);
      add({ kind: "option", name, rawName, index, value, inlineValue: true });
      return 0;
    } else if (next !== undefined) {
      add({ kind: "option", name, rawName, index, value: next, inlineValue: false });
      return 1;
    } else add({ kind: "option", name, rawName, index, value: undefined, inlineValue: undefined });
  }
  return 0;
}

function checkToken(token: Token, options: any, allowPositionals: boolean): void {
  const shown = hasOwn(options, token.name!) && options[token.name!].short
    ? `-${options[token.name!].short}, --${token.name}` : `--${token.name}`;
  if (!hasOwn(options, token.name!)) {
    const hint = allowPositionals
      ? `. To specify a positional argument starting with a '-', place it at the end of the command after '--', as in '-- "${token.rawName}"` : "";
    throw codedError(TypeError, "ERR_PARSE_ARGS_UNKNOWN_OPTION", `Unknown option '${token.rawName}'${hint}`);
  }
  const { type } = options[token.name!];
  if (type === "string" && typeof token.value !== "string") {
    throw codedError(TypeError, "ERR_PARSE_ARGS_INVALID_OPTION_VALUE", `Option '${shown} <value>' argument missing`);
  }
  if (type === "boolean" && token.value !== undefined) {
    throw codedError(TypeError, "ERR_PARSE_ARGS_INVALID_OPTION_VALUE", `Option '${shown}' does not take an argument`);
  }
  if (token.inlineValue === false && token.value !== undefined && token.value.length > 1 && token.value[0] === "-") {
    throw codedError(
      TypeError, "ERR_PARSE_ARGS_INVALID_OPTION_VALUE",
      `Option '${token.rawName}' argument is ambiguous.\nDid you forget to specify the option argument for '${token.rawName}'?`,
    );
  }
}

function checkOptions(options: any): void {
  checkObject(options, "options");
  const names = objectKeys(options);
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    const option = options[name];
    checkObject(option, `options.${name}`);
    if (option.type !== "string" && option.type !== "boolean") {
      throw invalidArgType(`options.${name}.type`, "('string|boolean')", option.type);
    }
    if (hasOwn(option, "short")) {
      checkString(option.short, `options.${name}.short`);
      if (option.short.length !== 1) throw invalidArgValue(`options.${name}.short`, option.short, "must be a single character");
    }
  }
}

export function parseArgs(config: any = {}): any {
  const { options = {}, strict = true, allowPositionals = !strict, tokens: wantTokens = false, allowNegative = false } = config;
  const args: string[] = config.args ?? [];
  checkOptions(options);
  const tokens = readTokens(arraySlice(args), options);
  const values: any = objectCreate(null);
  const positionals: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token.kind === "positional") {
      if (!allowPositionals) {
        throw codedError(
          TypeError, "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL",
          `Unexpected argument '${token.value}'. This command does not take positional arguments`,
        );
      }
      positionals[positionals.length] = token.value!;
    }
    if (token.kind !== "option") continue;
    let name = token.name!;
    let value: any = token.value ?? true;
    if (allowNegative && stringStartsWith(name, "no-") && token.value === undefined && !hasOwn(options, name)) {
      name = stringSlice(name, 3);
      value = false;
      token.name = name;
    }
    if (strict) checkToken(token, options, allowPositionals);
    if (name === "__proto__") continue;
    if (hasOwn(options, name) && options[name].multiple) {
      const list = (values[name] ??= []);
      list[list.length] = value;
    } else values[name] = value;
  }
  const names = objectKeys(options);
  for (let i = 0; i < names.length; i++) {
    const { default: absent } = options[names[i]!];
    if (absent !== undefined && values[names[i]!] === undefined) values[names[i]!] = absent;
  }
  return wantTokens ? { values, positionals, tokens } : { values, positionals };
}
