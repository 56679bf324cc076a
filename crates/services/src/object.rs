//! Durable objects: small databases of one owner each, and who owns them.
//!
//! An object is code and state under one id. What runs the code lives above; here is where its
//! state lies ([`ObjectStore`]), and who may run it ([`Leases`]). The two are bound together by a
//! *fence*: a number that comes with a lease, rises from owner to owner, and goes with every open
//! storage, so that one who lost an object without noticing can't write to it any more.
//!
//! **Turns.** What runs an object is one thread that enters guest code again and again. Whatever
//! one entry writes is part of one turn: it is visible to the object's own reads at once, becomes part of
//! the object as a whole with [`ObjectStorage::commit`], and durable when the [`Ticket`] of that
//! commit says so. Operations on an open storage are synchronous, for they are answered from memory
//! as a rule; what has to wait for the disk is the ticket alone. Whoever shows the world anything
//! that follows from a turn waits for its ticket first: the output gate is theirs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use base::{ClassName, Code, Digest, NodeLimits, code};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use serde::{Deserialize, Serialize};

use crate::sql::{SqlResult, SqlStatement};
use crate::{AppId, Durability, SqlError, StoreError};

pub mod alarm;

/// All objects of one class of an app. A class is the app's, not a worker's: a class that moves to
/// another worker keeps its objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectClass {
    pub app: AppId,
    pub name: ClassName,
}

impl fmt::Display for ObjectClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.name)
    }
}

/// Which object of a class: 24 bytes that say which, and 8 that say of which class, so that an id in
/// the wrong hands is noticed. Printed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(Digest);

/// Bytes of an id that say which object it is.
const BODY_BYTES: usize = 24;

impl ObjectClass {
    pub fn new(app: AppId, name: ClassName) -> Self {
        Self { app, name }
    }

    /// The id that belongs to a name, always the same.
    pub fn id_of_name(&self, name: &str) -> ObjectId {
        let digest = self.digest("name", name.as_bytes());
        self.finish(digest.as_bytes(), 0)
    }

    /// An id that nobody had before, made of randomness.
    pub fn unique_id(&self, random: &[u8; 32]) -> ObjectId {
        self.finish(random, 0x80)
    }

    /// An id that was printed; `None` if it is none of this class.
    pub fn parse_id(&self, text: &str) -> Option<ObjectId> {
        let id = ObjectId(Digest::parse(text)?);
        (self.finish(id.as_bytes(), id.as_bytes()[0] & 0x80) == id).then_some(id)
    }

    /// The highest bit tells ids of names from unique ones.
    fn finish(&self, body: &[u8; 32], kind: u8) -> ObjectId {
        let mut bytes = *body;
        bytes[0] = (bytes[0] & 0x7f) | kind;
        let class = self.digest("id", &bytes[..BODY_BYTES]);
        bytes[BODY_BYTES..].copy_from_slice(&class.as_bytes()[..32 - BODY_BYTES]);
        ObjectId(Digest::from_bytes(bytes))
    }

    fn digest(&self, what: &str, bytes: &[u8]) -> Digest {
        // No name holds a slash, so nothing runs into anything else.
        let mut text = format!("selvedge object {what} {self}/").into_bytes();
        text.extend_from_slice(bytes);
        Digest::of(&text)
    }
}

impl ObjectId {
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// An id as a store kept it.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Digest::from_bytes(bytes))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "object:{}", self.0.short())
    }
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectKey {
    pub class: ObjectClass,
    pub id: ObjectId,
}

/// An id is of one class, so that there is nothing else to hash.
impl std::hash::Hash for ObjectKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.class, self.id)
    }
}

/// Who owns which object.
///
/// # Promises
///
/// 1. **One owner.** A key has at most one lease at a time, among all who ask.
/// 2. **Fencing.** The fence of a lease is higher than that of every earlier lease of the key, also
///    across restarts.
/// 3. **Return.** A lease that is dropped is free at once.
pub trait Leases: Send + Sync {
    fn acquire<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Lease, LeaseError>>;
}

/// The right to run an object, until it is dropped.
pub struct Lease {
    pub fence: u64,
    _returned: Box<dyn Send>,
}

impl Lease {
    /// `returned` is dropped with the lease.
    pub fn new(fence: u64, returned: Box<dyn Send>) -> Self {
        Self { fence, _returned: returned }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("fence", &self.fence).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    #[error("the object is somebody else's")]
    Held,
    #[error("the leases are not available")]
    Store(#[from] StoreError),
}

impl LeaseError {
    pub fn code(&self) -> Code {
        match self {
            LeaseError::Held => &code::OBJECT_MOVED,
            LeaseError::Store(error) => error.code(),
        }
    }
}

/// The state of objects.
///
/// # Promises
///
/// 1. **Turns are atomic.** What is written between two commits becomes part of the object as a
///    whole or not at all, an alarm that was set included.
/// 2. **Durability.** A ticket resolves when its commit and all earlier ones of the object have
///    reached the durability that [`ObjectStorage::durability`] states. Commits are lost, if at all, from the end.
/// 3. **Reads** of an open storage see all that was written there before, committed or not.
/// 4. **Order.** Lists are in the byte order of the UTF-8 keys, or its reverse.
/// 5. **Isolation.** Two objects share nothing but the disk.
/// 6. **Failure.** After a commit or a ticket that failed, the storage answers nothing but errors.
///    Opened anew, the object holds a prefix of its commits, with all that were acknowledged.
/// 7. **Fencing.** A storage is opened with the fence of a lease. One with a lower fence than
///    another that is open is refused, and commits nothing once a higher one is open.
/// 8. **Alarms.** An object has one alarm at most. One whose ticket resolved is found by
///    [`ObjectStore::due`] until it is changed, also after a restart.
/// 9. **Nothing for nothing.** An object that stores nothing takes no space and is not listed.
/// 10. **Nesting.** What is written since [`ObjectStorage::begin`] can be undone by itself.
/// 11. **The past.** An object can be put back to any moment that the provider keeps: it is then what
///     its commits up to that moment made of it, without any later one. That is a commit like any
///     other: what was there before is part of the past, and can be had back. A moment that
///     [`ObjectStorage::bookmark`] answered has every commit before it and none after it.
pub trait ObjectStore: Send + Sync {
    /// Opens an object's state, for the owner of a lease with this fence.
    fn open<'a>(&'a self, key: &'a ObjectKey, fence: u64)
    -> BoxFuture<'a, Result<Box<dyn ObjectStorage>, ObjectError>>;

    /// Ids of a class in their order, those after `after`, at most `limit`.
    fn list<'a>(
        &'a self,
        class: &'a ObjectClass,
        after: Option<ObjectId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ObjectId>, ObjectError>>;

    /// What there is of an object, as it was committed last; `None` if it stores nothing.
    fn info<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<ObjectInfo>, ObjectError>>;

    /// The whole object, as it was committed last, in the provider's own format.
    fn export<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Bytes>, ObjectError>>;

    /// Puts an export in the place of what an object has that is not open, or nothing. The caller
    /// has its lease. Durable when it is answered.
    fn replace<'a>(
        &'a self,
        key: &'a ObjectKey,
        fence: u64,
        export: Option<Bytes>,
    ) -> BoxFuture<'a, Result<(), ObjectError>>;

    /// Puts an object that is not open back to what it was at `at_ms`, a moment that has come; answers when the last commit
    /// was made that is in it. The caller has its lease. Durable when it is answered.
    fn restore<'a>(&'a self, key: &'a ObjectKey, fence: u64, at_ms: u64) -> BoxFuture<'a, Result<u64, ObjectError>>;

    /// What all objects of an app take, in bytes, about.
    fn used<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<u64, ObjectError>>;

    /// Objects whose alarm is due at `now_ms`, the earliest first, at most `limit`.
    fn due(&self, now_ms: u64, limit: usize) -> BoxFuture<'_, Result<Vec<(ObjectKey, u64)>, ObjectError>>;

    /// A moment before which no alarm is due; `None` if none is set. Costs nothing.
    fn next_alarm(&self) -> Option<u64>;

    /// Waits until [`ObjectStore::next_alarm`] may have become earlier.
    fn alarms_changed(&self) -> BoxFuture<'static, ()>;
}

/// The state of one object, opened. One thread uses it at a time; see the module's documentation for
/// what a turn is.
pub trait ObjectStorage: Send {
    /// The name that the object was made with, if one is stored.
    fn name(&mut self) -> Result<Option<String>, ObjectError>;

    /// Stores the name together with what is written next; it is lost where nothing is written.
    fn set_name(&mut self, name: &str);

    /// The values of these keys, in their order.
    fn get(&mut self, keys: &[&str]) -> Result<Vec<Option<Bytes>>, ObjectError>;

    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ObjectError>;

    /// Answers whether there was a value.
    fn delete(&mut self, key: &str) -> Result<bool, ObjectError>;

    fn list(&mut self, options: &ListOptions<'_>) -> Result<Vec<(String, Bytes)>, ObjectError>;

    /// Removes everything but the alarm, tables of its own included.
    fn delete_all(&mut self) -> Result<(), ObjectError>;

    fn alarm(&mut self) -> Result<Option<Alarm>, ObjectError>;

    fn set_alarm(&mut self, alarm: Option<Alarm>) -> Result<(), ObjectError>;

    /// Runs a statement in the object's own database. What it writes is part of the turn; a failed
    /// one changes nothing. Several statements at once take no parameters and answer no rows.
    fn sql(&mut self, statement: &SqlStatement) -> Result<SqlResult, ObjectError>;

    /// Begins a part of the turn that can be undone by itself. Parts nest.
    fn begin(&mut self) -> Result<(), ObjectError>;

    /// Ends the innermost part: keeps what was written in it, or undoes it.
    fn end(&mut self, keep: bool) -> Result<(), ObjectError>;

    /// What the object stores, in bytes.
    fn bytes(&mut self) -> Result<u64, ObjectError>;

    /// What a commit outlives whose ticket resolved.
    fn durability(&self) -> Durability;

    /// A moment by which everything is made that was committed until now, and nothing that is committed
    /// later. In milliseconds since the Unix epoch, if the clock is right.
    fn bookmark(&mut self) -> Result<u64, ObjectError>;

    /// Asks that the object be put back to a moment when it is opened next, instead of what was asked
    /// before; part of the turn. Answers a number by which [`ObjectStorage::before_restore`] knows it.
    fn restore_next(&mut self, at_ms: u64) -> Result<u32, ObjectError>;

    /// The moment before the object was put back, once it was. The last [`RESTORES_KEPT`] are known.
    fn before_restore(&mut self, number: u32) -> Result<Option<u64>, ObjectError>;

    /// The turn is over; `None` if nothing was written. All parts have ended.
    fn commit(&mut self) -> Result<Option<Ticket>, ObjectError>;

    /// Forgets what was written since the last commit.
    fn roll_back(&mut self);
}

/// How many times that an object was put back it remembers.
pub const RESTORES_KEPT: usize = 16;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListOptions<'a> {
    /// The first key that may be listed.
    pub start: Option<&'a str>,
    /// Only keys behind this one.
    pub start_after: Option<&'a str>,
    /// Only keys before this one.
    pub end: Option<&'a str>,
    pub prefix: Option<&'a str>,
    pub reverse: bool,
    pub limit: Option<usize>,
}

impl ListOptions<'_> {
    pub fn takes(&self, key: &str) -> bool {
        self.start.is_none_or(|start| key >= start)
            && self.start_after.is_none_or(|after| key > after)
            && self.end.is_none_or(|end| key < end)
            && self.prefix.is_none_or(|prefix| key.starts_with(prefix))
    }
}

/// When an object is to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// When it is due next, in milliseconds since the Unix epoch.
    pub due_ms: u64,
    /// When it was meant to run at first.
    pub scheduled_ms: u64,
    /// How often its handler was begun.
    pub tries: u32,
}

impl Alarm {
    pub fn at(due_ms: u64) -> Self {
        Self { due_ms, scheduled_ms: due_ms, tries: 0 }
    }
}

/// Resolves when a commit is durable, or with the reason why that can't be known.
#[derive(Clone, Debug)]
pub struct Ticket(Option<Shared<BoxFuture<'static, Result<(), StoreError>>>>);

impl Ticket {
    /// Of what is durable already.
    pub fn durable() -> Self {
        Self(None)
    }

    pub fn of(future: impl Future<Output = Result<(), StoreError>> + Send + 'static) -> Self {
        Self(Some(future.boxed().shared()))
    }

    /// What came of it, if that is known without waiting.
    pub fn peek(&self) -> Option<Result<(), StoreError>> {
        match &self.0 {
            None => Some(Ok(())),
            Some(future) => future.peek().cloned(),
        }
    }
}

impl Future for Ticket {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            None => Poll::Ready(Ok(())),
            // Polled again after its end, it is still that end.
            Some(future) => match future.peek() {
                Some(result) => Poll::Ready(result.clone()),
                None => future.poll_unpin(cx),
            },
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    #[error("the key is empty")]
    KeyEmpty,
    #[error("the key has {bytes} bytes, {max} are allowed (object_key_bytes)")]
    KeyTooLong { bytes: usize, max: usize },
    #[error("the value has {bytes} bytes, {max} are allowed (object_value_bytes)")]
    ValueTooLarge { bytes: usize, max: usize },
    #[error("the object would store more than {max} bytes (object_bytes)")]
    Full { max: u64 },
    #[error("the app's objects store as many bytes as object_app_bytes allows, which is {max}")]
    AppFull { max: u64 },
    #[error(transparent)]
    Sql(SqlError),
    #[error("the statement ran longer than object_sql_ms allows, which is {max}")]
    SqlTime { max: u64 },
    #[error("a statement undid the whole turn: {0}")]
    Undone(SqlError),
    #[error("this is no export of an object: {0}")]
    BadExport(String),
    #[error("{0}")]
    Past(String),
    #[error("the object was opened by its next owner")]
    Fenced,
    #[error("the storage has failed before")]
    Spent(#[source] StoreError),
    #[error("the store is not available")]
    Store(#[from] StoreError),
}

impl ObjectError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            ObjectError::KeyEmpty => &code::KEY_EMPTY,
            ObjectError::KeyTooLong { .. } => &code::KEY_TOO_LONG,
            ObjectError::ValueTooLarge { .. } => &code::VALUE_TOO_LARGE,
            ObjectError::Full { .. } => &code::OBJECT_FULL,
            ObjectError::AppFull { .. } => &code::QUOTA_EXCEEDED,
            ObjectError::Sql(error) | ObjectError::Undone(error) => error.code(),
            ObjectError::SqlTime { .. } => &code::SQL_TIME_LIMIT,
            ObjectError::BadExport(_) => &code::BAD_OBJECT_DATA,
            ObjectError::Past(_) => &code::OBJECT_PAST,
            ObjectError::Fenced => &code::OBJECT_MOVED,
            ObjectError::Spent(error) | ObjectError::Store(error) => error.code(),
        }
    }

    /// The turn can't go on, whatever the guest makes of the error.
    pub fn is_fatal(&self) -> bool {
        matches!(self, ObjectError::Undone(_) | ObjectError::Fenced | ObjectError::Spent(_) | ObjectError::Store(_))
    }
}

/// What there is of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectInfo {
    pub name: Option<String>,
    pub alarm_ms: Option<u64>,
    /// Keys in its storage.
    pub entries: u64,
    pub bytes: u64,
    /// Of its own, in their order.
    pub tables: Vec<String>,
}

/// The bounds that every provider keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectLimits {
    pub key_bytes: usize,
    pub value_bytes: usize,
    pub object_bytes: u64,
}

impl From<&NodeLimits> for ObjectLimits {
    fn from(limits: &NodeLimits) -> Self {
        let bytes = |limit| usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            key_bytes: bytes(limits.object_key_bytes),
            value_bytes: bytes(limits.object_value_bytes),
            object_bytes: limits.object_bytes,
        }
    }
}

impl ObjectLimits {
    /// The check of a key that every provider makes.
    pub fn check_key(&self, key: &str) -> Result<(), ObjectError> {
        match key.len() {
            0 => Err(ObjectError::KeyEmpty),
            bytes if bytes > self.key_bytes => Err(ObjectError::KeyTooLong { bytes, max: self.key_bytes }),
            _ => Ok(()),
        }
    }

    pub fn check_value(&self, value: &[u8]) -> Result<(), ObjectError> {
        match value.len() {
            bytes if bytes > self.value_bytes => Err(ObjectError::ValueTooLarge { bytes, max: self.value_bytes }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
