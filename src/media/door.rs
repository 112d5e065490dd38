//! A pad behind which an element may never come back from what it is given.
//!
//! GStreamer calls an idle probe at once when nothing is being pushed, and otherwise when the push has come back
//! (`gst_pad_add_probe` in `gst/gstpad.c`, GStreamer/gstreamer 0d254f59): one that is not called says where a thread is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gst::prelude::*;

/// A source pad that is asked whether a push is under way.
#[derive(Debug)]
pub struct Door {
    pad: gst::glib::WeakRef<gst::Pad>,
    /// It was asked, and the push of that time has not come back.
    busy: Arc<AtomicBool>,
}

impl Door {
    /// Watches this source pad.
    #[must_use]
    pub fn new(pad: &gst::Pad) -> Self {
        Self { pad: pad.downgrade(), busy: Arc::default() }
    }

    /// Whether a push is under way. Never waits.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let Some(pad) = self.pad.upgrade() else { return false };
        if !self.busy.swap(true, Ordering::AcqRel) {
            let busy = Arc::clone(&self.busy);
            pad.add_probe(gst::PadProbeType::IDLE, move |_, _| {
                busy.store(false, Ordering::Release);
                gst::PadProbeReturn::Remove
            });
        }
        self.busy.load(Ordering::Acquire)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Mutex, mpsc};
    use std::thread::JoinHandle;
    use std::time::{Duration, Instant};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// A pad behind which whatever is pushed stays until it is let go.
    pub(in crate::media) struct Held {
        pub(in crate::media) out: gst::Pad,
        enters: mpsc::Receiver<()>,
        let_go: mpsc::Sender<()>,
        pushed: Option<JoinHandle<Result<gst::FlowSuccess, gst::FlowError>>>,
        _within: gst::Pad,
    }

    impl Held {
        pub(in crate::media) fn new() -> Self {
            gst::init().expect("GStreamer");
            let (entered, enters) = mpsc::channel();
            let (let_go, held) = mpsc::channel::<()>();
            let held = Mutex::new(held);
            let out = gst::Pad::builder(gst::PadDirection::Src).name("out").build();
            let within = gst::Pad::builder(gst::PadDirection::Sink)
                .name("within")
                .chain_function(move |_, _, _| {
                    let _ = entered.send(());
                    let _ = held.lock().map(|held| held.recv_timeout(LIMIT));
                    Ok(gst::FlowSuccess::Ok)
                })
                .build();
            out.link(&within).expect("linked");
            for pad in [&within, &out] {
                pad.set_active(true).expect("active");
            }
            out.push_event(gst::event::StreamStart::new("test"));
            out.push_event(gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()));
            Self { out, enters, let_go, pushed: None, _within: within }
        }

        /// Pushes a buffer; it is inside when this returns.
        pub(in crate::media) fn push(&mut self) {
            let out = self.out.clone();
            self.pushed = Some(std::thread::spawn(move || out.push(gst::Buffer::new())));
            self.enters.recv_timeout(LIMIT).expect("it goes in");
        }

        /// Lets it go; it is back when this returns.
        pub(in crate::media) fn let_go(&mut self) {
            self.let_go.send(()).expect("held");
            self.pushed.take().expect("something inside").join().expect("pushed").expect("taken");
        }
    }

    #[test]
    fn a_door_is_busy_until_what_went_through_comes_back() {
        let mut held = Held::new();
        let door = Door::new(&held.out);
        assert!(!door.is_busy(), "before");
        for _ in 0..2 {
            held.push();
            let asked = Instant::now();
            assert!(door.is_busy() && door.is_busy(), "inside");
            assert!(asked.elapsed() < LIMIT / 2, "asking does not wait");
            held.let_go();
            assert!(!door.is_busy(), "back");
        }
    }
}
