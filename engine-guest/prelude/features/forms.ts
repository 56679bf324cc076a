/**
 * `FormData`, its two encodings, and the MIME types that tell them apart.
 */
export { FormData, formList } from "./forms/formdata.ts";
export { blobTypeOf } from "./forms/mime.ts";
export { decodeForm, encodeMultipart } from "./forms/multipart.ts";
