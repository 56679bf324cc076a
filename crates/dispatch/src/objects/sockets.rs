//! The sockets that objects keep: each is read by a task, and what it brings is an event.

use std::rc::Rc;
use std::sync::Arc;

use base::socket::{Ended, Received, SocketEnd, close_code};
use worker::Event;
use worker::object::ObjectEvent;

use super::home::{self, Object};
use crate::cores::CorePools;

/// Begins to read what was accepted since the last time.
pub(super) fn keep_fresh(core: &Rc<CorePools>, object: &Rc<Object>) {
    for socket in object.sockets.take_fresh() {
        if let Some(near) = object.sockets.near(socket) {
            tokio::task::spawn_local(read(Rc::downgrade(core), object.clone(), socket, near));
        }
    }
}

/// Until the end. One message is served at a time, so they keep their order.
async fn read(core: std::rc::Weak<CorePools>, object: Rc<Object>, socket: u32, near: Arc<SocketEnd>) {
    loop {
        let received = near.receive().await;
        let Some(core) = core.upgrade() else { return };
        let Ok(of_node) = core.node.objects() else { return };
        let key = object.target.key();
        let (event, last) = match received {
            Received::Message(message) => {
                if object.sockets.answer_alone(socket, &message, core.node.clock.unix_ms()) {
                    // A peer that has always something to say lets others have their turn.
                    tokio::task::consume_budget().await;
                    continue;
                }
                (ObjectEvent::Message { socket, message }, false)
            }
            Received::Ended(ended) => (ObjectEvent::Closed { socket, ended }, true),
        };
        let call = core.node.own_call(&of_node.parts, if last { "CLOSE" } else { "MESSAGE" }, &key);
        let record = call.record.clone();
        let target = object.target.clone();
        // Boxed, for tens of thousands of these tasks only wait.
        let served = Box::pin(home::serve(core.clone(), target, call, Event::Object(Box::new(event))));
        let result = served.await;
        if let Err(failure) = result {
            let mut record = record.edit();
            record.code = Some(failure.code);
            record.detail = Some(failure.detail.clone());
            drop(record);
            // A message that nobody took would be a hole in the conversation.
            near.close(Ended::new(close_code::ERROR, failure.code.name).because(failure.code));
        }
        if last {
            // Said in return, if the object did not.
            near.close(Ended::new(close_code::NORMAL, "").cleanly());
            object.sockets.forget(socket);
            core.let_go(&object);
            return;
        }
    }
}
