/**
 * What `console` shows of the platform's own objects, whose state is private.
 */
import { isAbortSignal, isAborted } from "./abort.ts";
import { blobBytes, blobType, isBlob } from "./blob.ts";
import { formList, isFormData } from "./forms.ts";
import { headerList, headersOf, isHeaders } from "./headers.ts";
import { peekRequest } from "./request.ts";
import { peekResponse } from "./response.ts";
import { isSearchParams, searchParamsList } from "./searchparams.ts";
import { METHOD, REQUEST_URL, RESPONSE_URL, STATUS, STATUS_TEXT } from "./state.ts";
import { hrefOf } from "./url.ts";

/** A name and `[field, value, …]`. */
export interface WebView {
  name: string;
  fields: unknown[];
}

/** The view of one of the platform's own objects, or null. */
export function peekWeb(value: unknown): WebView | null {
  if (isHeaders(value)) return { name: "Headers", fields: quoted(headerList(value)) };
  const request = peekRequest(value);
  if (request !== null) {
    return {
      name: "Request",
      fields: ["method", request[METHOD], "url", request[REQUEST_URL], "headers", headersOf(request)],
    };
  }
  const response = peekResponse(value);
  if (response !== null) {
    return {
      name: "Response",
      fields: [
        "status", response[STATUS], "statusText", response[STATUS_TEXT], "url", response[RESPONSE_URL],
        "headers", headersOf(response),
      ],
    };
  }
  const href = hrefOf(value);
  if (href !== null) return { name: "URL", fields: ["href", href] };
  if (isSearchParams(value)) return { name: "URLSearchParams", fields: quoted(searchParamsList(value)) };
  if (isFormData(value)) return { name: "FormData", fields: quoted(formList(value)) };
  if (isBlob(value)) return { name: "Blob", fields: ["size", blobBytes(value).length, "type", blobType(value)] };
  if (isAbortSignal(value)) return { name: "AbortSignal", fields: ["aborted", isAborted(value)] };
  return null;
}

function quoted(list: readonly unknown[]): unknown[] {
  const fields: unknown[] = [];
  for (let i = 0; i < list.length; i += 2) {
    fields[i] = `'${list[i]}'`;
    fields[i + 1] = list[i + 1];
  }
  return fields;
}
