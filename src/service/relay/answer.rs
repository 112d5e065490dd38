//! From an offer to an answer, by way of str0m.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::change::SdpOffer;
use str0m::config::DtlsCert;
use str0m::{Candidate, Rtc, RtcConfig};

use super::offer::{Bad, Plan, Role};

/// How often a player's capacity is looked at.
pub(super) const MEASURE_EVERY: Duration = Duration::from_secs(1);

/// An answered offer that has no place in the relay yet.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) rtc: Rtc,
    pub(super) plan: Plan,
    pub(super) answer: String,
    pub(super) locals: Vec<SocketAddr>,
}

impl Answered {
    /// Lets str0m answer the offer.
    pub(super) fn new(
        role: Role,
        plan: Plan,
        certificate: DtlsCert,
        locals: Vec<SocketAddr>,
        now: Instant,
    ) -> Result<Self, Bad> {
        let mut config = RtcConfig::new()
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .set_dtls_cert(certificate)
            .set_stats_interval((role == Role::Player).then_some(MEASURE_EVERY))
            .set_send_buffer_audio(64)
            .set_send_buffer_video(1024);
        *config.codec_config() = plan.codecs.clone();
        let mut rtc = config.build(now);
        for local in &locals {
            if let Ok(candidate) = Candidate::host(*local, "udp") {
                rtc.add_local_candidate(candidate);
            }
        }
        let refused = |error: &dyn std::fmt::Display| {
            Bad::Refused(error.to_string().lines().take(3).collect::<Vec<_>>().join(" "))
        };
        let offer = SdpOffer::from_sdp_string(&plan.sdp).map_err(|e| refused(&e))?;
        let answer = rtc.sdp_api().accept_offer(offer).map_err(|e| refused(&e))?;
        let answer = plan.complete(&answer.to_sdp_string());
        Ok(Self { rtc, plan, answer, locals })
    }
}
