//! The node's limits, as a connection uses them.

use std::time::Duration;

use base::NodeLimits;

/// What bounds a connection and the requests on it. See [`NodeLimits`] for each one's meaning.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    pub header_bytes: usize,
    pub header_count: usize,
    pub uri_bytes: usize,
    pub header: Duration,
    pub body_idle: Duration,
    pub body_bytes_per_s_min: u64,
    pub idle: Duration,
    pub rest: Duration,
    pub write_idle: Duration,
    pub h2_streams: u32,
    pub h2_resets: u64,
    pub h2_pending_resets: usize,
    pub h2_refused_streams: usize,
    pub h2_control_frames: u64,
    pub h2_window_updates: u64,
    pub h2_continuations: u64,
    pub quic_handshakes: usize,
    pub tls_handshake: Duration,
    pub tls_refusal_lines: u64,
    pub proxy_header_bytes: usize,
    pub drain: Duration,
}

impl From<&NodeLimits> for ServerLimits {
    fn from(limits: &NodeLimits) -> Self {
        let ms = Duration::from_millis;
        Self {
            header_bytes: limits.header_bytes as usize,
            header_count: limits.header_count as usize,
            uri_bytes: limits.uri_bytes as usize,
            header: ms(limits.header_ms),
            body_idle: ms(limits.body_idle_ms),
            body_bytes_per_s_min: limits.body_bytes_per_s_min,
            idle: ms(limits.idle_ms),
            rest: ms(limits.rest_ms),
            write_idle: ms(limits.write_idle_ms),
            h2_streams: u32::try_from(limits.h2_streams).unwrap_or(u32::MAX),
            h2_resets: limits.h2_resets,
            h2_pending_resets: limits.h2_pending_resets as usize,
            h2_refused_streams: limits.h2_refused_streams as usize,
            h2_control_frames: limits.h2_control_frames,
            h2_window_updates: limits.h2_window_updates,
            h2_continuations: limits.h2_continuations,
            quic_handshakes: limits.quic_handshakes as usize,
            tls_handshake: ms(limits.tls_handshake_ms),
            tls_refusal_lines: limits.tls_refusal_lines,
            proxy_header_bytes: limits.proxy_header_bytes as usize,
            drain: ms(limits.drain_ms),
        }
    }
}
