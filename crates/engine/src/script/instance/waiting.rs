//! Who waits for what: a request's task for its answer, and operations for their ends.
//!
//! An operation has a task of its own, but for one that a request without an answer waits for most
//! often, on data or at another worker: that is looked after by the task of its request. It costs no
//! task then, and the end of the operation wakes the one who writes the answer, who would have to be
//! woken after it. What is still open when that task has its answer, or goes away, gets a task after all.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use base::code;
use futures_util::future::BoxFuture;
use worker::{Ended, Failure, Response};

use super::{Input, Running, Sandbox, ScriptInstance, enter_operation};
use crate::script::abi::operation;
use crate::script::ask::{self, Begun};
use crate::script::operations::Completion;

/// Where the response is put for the task that waits for it, and what that task looks after.
#[derive(Default)]
pub(super) struct Slot {
    pub answer: RefCell<Option<Result<Response, Ended>>>,
    pub waker: RefCell<Option<Waker>>,
    lent: RefCell<Option<Lent>>,
    /// Nobody is there any more to look after anything.
    left: Cell<bool>,
}

/// An operation without a task.
struct Lent {
    operation: u32,
    request: u32,
    code: i32,
    work: BoxFuture<'static, Completion>,
}

/// Whether an operation may go without a task.
fn is_lent(code: i32) -> bool {
    ask::is_asked(code) || code == operation::SERVICE
}

impl ScriptInstance {
    pub(super) async fn wait_for_head(
        self: &Rc<Self>,
        request: u32,
        slot: &Rc<Slot>,
        begun: Instant,
    ) -> Result<Response, Ended> {
        let head = Duration::from_millis(self.env.limits.head_ms).saturating_sub(begun.elapsed());
        let answer = std::future::poll_fn(|cx| {
            // What happens from here on happens under its eyes.
            slot.waker.borrow_mut().take();
            self.look_after(slot, cx);
            match slot.answer.borrow_mut().take() {
                Some(answer) => Poll::Ready(answer),
                None => {
                    *slot.waker.borrow_mut() = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        });
        match tokio::time::timeout(head, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                let detail = format!("no response after {} ms (limits.head_ms)", self.env.limits.head_ms);
                let failure = Failure::new(&code::HEAD_TIMEOUT, detail);
                self.note_failure(request, failure.code);
                self.push_and_spawn(Input::Abort { request });
                Err(failure.into())
            }
        }
    }

    /// Looks whether the operation has ended that was lent to this task, and then for the next.
    fn look_after(self: &Rc<Self>, slot: &Slot, cx: &mut Context<'_>) {
        loop {
            let Some(mut lent) = slot.lent.borrow_mut().take() else { return };
            // It may have been given up.
            if !self.running.borrow().contains_key(&lent.operation) {
                continue;
            }
            let Poll::Ready(completion) = lent.work.as_mut().poll(cx) else {
                // It may have been given up by what it set going.
                if self.running.borrow().contains_key(&lent.operation) {
                    *slot.lent.borrow_mut() = Some(lent);
                }
                return;
            };
            let Lent { operation, request, .. } = lent;
            self.inbox.borrow_mut().push_back(Input::Complete { operation, request, completion });
            self.drive(cx);
        }
    }

    /// Gives an operation to the task of its request, if that has none yet and goes on waiting.
    fn lend(self: &Rc<Self>, lent: Lent) -> Result<(), Lent> {
        let requests = self.requests.borrow();
        let entry = requests.get(&lent.request).filter(|entry| !entry.answered && !entry.slot.left.get());
        let Some(entry) = entry.filter(|entry| is_lent(lent.code) && entry.slot.lent.borrow().is_none()) else {
            return Err(lent);
        };
        self.running
            .borrow_mut()
            .insert(lent.operation, Running { request: lent.request, code: lent.code, task: None });
        *entry.slot.lent.borrow_mut() = Some(lent);
        // Who is at it already looks when it is done with the guest.
        if let Some(waker) = entry.slot.waker.borrow_mut().take() {
            waker.wake();
        }
        Ok(())
    }

    /// Gives up an operation that was lent to the task of its request.
    pub(super) fn drop_lent(&self, operation: u32, request: u32) {
        let slot = self.requests.borrow().get(&request).map(|entry| entry.slot.clone());
        let lent = slot.and_then(|slot| slot.lent.borrow_mut().take_if(|lent| lent.operation == operation));
        drop(lent);
    }

    /// Has a task of its own look after what was lent to one that waits no longer.
    pub(super) fn take_back(self: &Rc<Self>, slot: &Slot) {
        slot.left.set(true);
        let Some(Lent { operation, request, code, work }) = slot.lent.borrow_mut().take() else { return };
        if self.running.borrow().contains_key(&operation) {
            self.await_end(operation, request, code, work);
        }
    }

    /// Goes on with an operation that was begun while the guest was on the stack.
    pub(super) fn go_on(self: &Rc<Self>, sandbox: &mut Sandbox, operation: u32, request: u32, code: i32, begun: Begun) {
        enter_operation(sandbox, operation, request, code);
        match begun {
            Begun::Waits(work) => {
                if let Err(Lent { work, .. }) = self.lend(Lent { operation, request, code, work }) {
                    self.await_end(operation, request, code, work);
                }
            }
            Begun::Ended(completion) => {
                self.running.borrow_mut().insert(operation, Running { request, code, task: None });
                self.inbox.borrow_mut().push_back(Input::Complete { operation, request, completion: *completion });
            }
        }
    }

    pub(super) fn await_end(
        self: &Rc<Self>,
        operation: u32,
        request: u32,
        code: i32,
        work: impl Future<Output = Completion> + 'static,
    ) {
        let instance = self.clone();
        let task = tokio::task::spawn_local(async move {
            let completion = work.await;
            instance.inbox.borrow_mut().push_back(Input::Complete { operation, request, completion });
            std::future::poll_fn(|cx| {
                instance.drive(cx);
                Poll::Ready(())
            })
            .await;
        });
        self.running.borrow_mut().insert(operation, Running { request, code, task: Some(task.abort_handle()) });
    }
}
