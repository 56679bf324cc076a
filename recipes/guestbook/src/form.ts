/**
 * The form that signs the book: reading it, and saying what is wrong with it.
 */
export interface Form {
  name: string;
  message: string;
  problems: Problem[];
}

export interface Problem {
  field: "name" | "message";
  text: string;
}

export const NAME_MAX = 60;
export const MESSAGE_MAX = 600;

/** The body is not a form at all. */
export class UnreadableForm extends Error {}

export async function readForm(request: Request): Promise<Form> {
  let data: FormData;
  try {
    data = await request.formData();
  } catch (cause) {
    // What has a code is a body that broke off or is too large, which Selvedge answers itself.
    if ((cause as { code?: string }).code) throw cause;
    throw new UnreadableForm("the body is not a form", { cause });
  }
  const name = textOf(data, "name").replace(/\s+/g, " ").trim();
  const message = textOf(data, "message").replace(/\n{3,}/g, "\n\n").trim();
  const problems = [...check("name", "name", name, NAME_MAX), ...check("message", "message", message, MESSAGE_MAX)];
  return { name, message, problems };
}

/** A field's text, with the line ends that browsers count (one character each), and nothing unprintable. */
function textOf(data: FormData, field: string): string {
  const value = data.get(field);
  if (typeof value !== "string") return "";
  return value.replace(/\r\n?/g, "\n").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "");
}

function check(field: Problem["field"], label: string, text: string, max: number): Problem[] {
  if (text === "") return [{ field, text: `Please write your ${label}.` }];
  if (text.length > max) {
    return [{ field, text: `Your ${label} has ${text.length} characters; there is room for ${max}.` }];
  }
  return [];
}
