//! Waking objects whose alarm is due. One core looks for all.
//!
//! An alarm that is begun has its next try scheduled by the object itself, so nothing is to be done
//! here about a handler that fails. What can't even be started stays due, and is tried again after
//! a pause.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use services::object::ObjectKey;
use worker::Event;
use worker::object::{ObjectEvent, Target};

use super::home;
use crate::cores::CorePools;

/// Alarms that are looked at together.
const BATCH: usize = 256;
/// The index is looked at least this often, in case the clock was set.
const LOOK_MAX: Duration = Duration::from_secs(1);
const LOOK_MIN: Duration = Duration::from_millis(5);
/// The pause after an alarm that could not be delivered.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) async fn run(core: Weak<CorePools>) {
    let under_way = Rc::<RefCell<HashSet<ObjectKey>>>::default();
    loop {
        let Some(here) = core.upgrade() else { return };
        let Ok(objects) = here.node.objects() else { return };
        let now_ms = here.node.clock.unix_ms();
        let store = objects.parts.store.clone();
        let is_mine = objects.registry.is_first(here.core.index);
        if is_mine && store.next_alarm().is_some_and(|next| next <= now_ms) {
            let limit = BATCH + under_way.borrow().len();
            match store.due(now_ms, limit).await {
                Ok(due) => due.into_iter().for_each(|(key, _)| fire(&here, &under_way, key)),
                Err(error) => tracing::warn!(%error, "alarms of durable objects can't be read; it is tried again"),
            }
        }
        let changed = store.alarms_changed();
        let until = match store.next_alarm() {
            Some(next) if is_mine => Duration::from_millis(next.saturating_sub(here.node.clock.unix_ms())),
            _ => LOOK_MAX,
        };
        drop(here);
        let _ = tokio::time::timeout(until.clamp(LOOK_MIN, LOOK_MAX), changed).await;
    }
}

fn fire(core: &Rc<CorePools>, under_way: &Rc<RefCell<HashSet<ObjectKey>>>, key: ObjectKey) {
    if !under_way.borrow_mut().insert(key.clone()) {
        return;
    }
    let (node, under_way) = (core.node.clone(), under_way.clone());
    tokio::task::spawn_local(async move {
        if let Ok(objects) = node.objects() {
            let call = node.own_call(&objects.parts, "ALARM", &key);
            let record = call.record.clone();
            let target = Target { class: key.class.clone(), id: key.id, name: None };
            let event = Event::Object(Box::new(ObjectEvent::Alarm));
            if let Err(failure) = home::invoke(Arc::clone(&node), target, call, event).await {
                let mut edited = record.edit();
                edited.code = Some(failure.code);
                edited.detail = Some(failure.detail.clone());
                drop(edited);
                drop(record);
                tokio::time::sleep(PAUSE).await;
            }
        }
        under_way.borrow_mut().remove(&key);
    });
}
