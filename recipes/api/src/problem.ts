/**
 * Problem details (RFC 9457): one shape for everything that goes wrong.
 */
export interface Problem {
  status: number;
  /** Stable, for programs. */
  code: string;
  title: string;
  detail?: string;
  /** What is wrong with the body, field by field; `pointer` is a JSON pointer (RFC 6901). */
  errors?: FieldError[];
  headers?: Record<string, string>;
}

export interface FieldError {
  pointer: string;
  detail: string;
}

/** Ends a request with a problem, from wherever it is noticed. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.title);
    this.problem = problem;
  }
}

export function problemResponse({ headers, ...problem }: Problem): Response {
  const body = { type: `urn:stock:problem:${problem.code}`, ...problem };
  return new Response(JSON.stringify(body), {
    status: problem.status,
    headers: { "content-type": "application/problem+json", "cache-control": "no-store", ...headers },
  });
}
