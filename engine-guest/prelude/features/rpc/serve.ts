/**
 * The answer to a call that came as an event.
 */
import { hold, markAnswered, release } from "../../invocation.ts";
import { RPC_ANSWER, type Wire, call } from "../../native.ts";
import { ID, type Invocation, PENDING } from "../../state.ts";
import { type Outgoing, encode } from "./encode.ts";
import {
  type Arrived, type Session, disposeAll, encodeThrown, giveUpBodies, openBodies, openSession, sendBodies,
} from "./session.ts";

export { whenSettled } from "./settled.ts";

export function answerCall(
  invocation: Invocation, session: Session | null, args: Arrived | null, threw: boolean, value: unknown,
): void {
  let answered = session;
  try {
    const outgoing = threw ? encodeThrown(value) : encode(value);
    if (session === null && outgoing.exports.length === 0 && outgoing.bodies.length === 0) {
      answerPlainly(invocation, threw, outgoing.tokens);
    } else answered = answer(invocation, session, threw, outgoing);
  } catch (error) {
    answer(invocation, session, true, encodeThrown(error));
  }
  disposeAll(args);
  if (answered === null) return;
  answered.answered = true;
  answered.closeIfIdle();
}

const NONE: never[] = [];

/** The answer of most calls: nothing goes on behind it. */
function answerPlainly(invocation: Invocation, threw: boolean, tokens: Wire[]): void {
  call(RPC_ANSWER, invocation[ID], [!threw, 0, tokens], NONE, 0, invocation[PENDING] > 0, threw);
  markAnswered(invocation);
}

/** Answers the session that goes on, if one does. */
function answer(invocation: Invocation, session: Session | null, threw: boolean, outgoing: Outgoing): Session | null {
  const { exports, bodies } = outgoing;
  const fresh = session === null && exports.length > 0 ? openSession(invocation) : null;
  const used = session ?? fresh;
  let base = 0;
  const streams = openBodies(bodies);
  for (let i = 0; i < bodies.length; i++) hold(invocation);
  try {
    base = used === null ? 0 : used.export(outgoing);
    call(
      RPC_ANSWER, invocation[ID], [!threw, base, outgoing.tokens], streams, fresh === null ? 0 : fresh.id,
      invocation[PENDING] > 0, threw,
    );
  } catch (error) {
    giveUpBodies(bodies, error);
    for (let i = 0; i < bodies.length; i++) release(invocation);
    if (fresh !== null) fresh.close();
    else if (used !== null && base > 0) used.unexport(base);
    throw error;
  }
  markAnswered(invocation);
  if (bodies.length > 0) sendBodies(bodies, streams, () => release(invocation));
  if (fresh !== null) fresh.read();
  return used;
}
