//! Alarms of durable objects that ring because a test moved the clock, or asked for one.
//!
//! Whoever rings one here waits until its handler is over, so that a test can look at what it did. The
//! node's own look for alarms that are due is put off meanwhile; it rings those that an object sets to
//! a moment that has passed already.

use services::object::{ObjectId, ObjectKey};
use worker::object::{ObjectEvent, Target};
use worker::{Call, Event, Failure, ToldTime};

use super::data::Data;

/// Alarms that ring for one move of the clock, before it is taken for an endless chain of them.
const RINGS_MAX: usize = 10_000;

/// Rings what is due up to this time, each at its own, and leaves the clock there.
pub async fn move_to(told: &ToldTime, data: &Data, call: &Call, us: i64) -> Result<(), Failure> {
    let _pause = data.objects.pause();
    let target_ms = (us / 1000).max(0) as u64;
    let mut result = Ok(());
    for _ in 0..RINGS_MAX {
        let Some((key, due_ms)) = data.objects.first_due(target_ms) else { break };
        let now_us = told.get().unwrap_or(us).max(due_ms as i64 * 1000);
        told.tell(Some(now_us.min(us)));
        let rang = ring(data, call, &key).await;
        let is_stuck = rang.is_err() && data.objects.alarm(&key) == Some(due_ms);
        result = result.and(rang);
        if is_stuck {
            break;
        }
    }
    told.tell(Some(us));
    result
}

/// Rings the alarm of one object now, as if its time had come. False if it has none.
pub async fn ring_now(told: &ToldTime, data: &Data, call: &Call, id: &str) -> Result<bool, Failure> {
    let Some((key, due_ms)) = data.objects.alarm_of(id) else { return Ok(false) };
    let _pause = data.objects.pause();
    let before = told.get();
    let due_us = due_ms as i64 * 1000;
    told.tell(Some(before.unwrap_or(due_us).max(due_us)));
    let rang = ring(data, call, &key).await;
    told.tell(before);
    rang.map(|()| true)
}

async fn ring(data: &Data, call: &Call, key: &ObjectKey) -> Result<(), Failure> {
    let target = Target { class: key.class.clone(), id: key.id, name: None };
    let event = Event::Object(Box::new(ObjectEvent::Alarm));
    data.dispatcher.objects().invoke(target, call.clone(), event).await.map(drop)
}

/// The ids of all objects that hold something.
pub async fn ids(data: &Data) -> Vec<ObjectId> {
    data.objects.ids().await
}
