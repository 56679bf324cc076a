//! What every crate may use: names, error codes, limits, the clock and randomness seams, secrets,
//! HTTP bodies, and the artifact format.
//!
//! It is not a place for helpers. It does no I/O, spawns nothing, and knows no other crate of the
//! workspace. On the path of a request it contributes types only: the [`Body`] that flows down and
//! up, the [`Limits`] that bound it, and the [`Code`] that an error carries to the client.

pub mod artifact;
pub mod body;
pub mod builtin;
pub mod clock;
pub mod code;
pub mod digest;
pub mod ids;
pub mod limits;
pub mod problem;
pub mod rng;
pub mod secret;
pub mod socket;

pub use artifact::Artifact;
pub use body::{Body, BodyError};
pub use clock::{Clock, SystemClock};
pub use code::{Code, Fault};
pub use digest::Digest;
pub use ids::{AppName, BindingName, ClassName, NameError, ResourceName, TenantName, WorkerName};
pub use limits::{AppLimits, NodeLimits, PostgresLimits, TestLimits, UpstreamLimits, WorkerLimits};
pub use problem::Problem;
pub use rng::{Rng, SystemRng};
pub use secret::Secret;
pub use socket::{SocketEnd, SocketOptions};
