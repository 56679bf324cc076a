/**
 * What the base knows of forms. Most workers never see one, so `FormData`, `multipart/form-data` and the MIME types that
 * go with them are a feature; until it is loaded no value is a form.
 */
import { feature } from "./features.ts";

/** True for a `FormData`. */
export let isFormData: (value: unknown) => boolean = () => false;

/** The feature tells what its class looks like. */
export function knowForms(brand: (value: unknown) => boolean): void {
  isFormData = brand;
}

/** A form as bytes, with its content type. */
export function encodeForm(form: unknown): { bytes: Uint8Array; type: string } {
  return feature("forms").encodeMultipart(form);
}

/** The form that a body with this content type is. */
export function decodeForm(bytes: Uint8Array, type: string | null): unknown {
  return feature("forms").decodeForm(bytes, type);
}

/** The type of a blob made of a body with this content type. */
export function blobTypeOf(type: string | null): string {
  return type === null ? "" : feature("forms").blobTypeOf(type);
}

/** The pairs of a form; not to be changed. */
export function formList(form: unknown): unknown[] {
  return feature("forms").formList(form);
}
