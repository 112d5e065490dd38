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
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn a_door_is_busy_until_what_went_through_comes_back() {
        gst::init().expect("GStreamer");
        let (entered, enters) = mpsc::channel();
        let (let_go, held) = mpsc::channel::<()>();
        let held = std::sync::Mutex::new(held);
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
        let door = Door::new(&out);
        assert!(!door.is_busy(), "before");
        out.push_event(gst::event::StreamStart::new("test"));
        out.push_event(gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()));
        assert!(!door.is_busy(), "after events");
        for _ in 0..2 {
            let pushed = std::thread::spawn({
                let out = out.clone();
                move || out.push(gst::Buffer::new())
            });
            enters.recv_timeout(LIMIT).expect("it goes in");
            let asked = Instant::now();
            assert!(door.is_busy() && door.is_busy(), "inside");
            assert!(asked.elapsed() < LIMIT / 2, "asking does not wait");
            let_go.send(()).expect("held");
            pushed.join().expect("pushed").expect("taken");
            assert!(!door.is_busy(), "back");
        }
    }
}
