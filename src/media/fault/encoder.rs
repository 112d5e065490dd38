//! `faultyh264enc`: a real encoder in a bin, with a fault at its door.

use gst::glib;

glib::wrapper! {
    /// The bin.
    pub(crate) struct Faulty(ObjectSubclass<imp::Faulty>) @extends gst::Bin, gst::Element, gst::Object;
}

mod imp {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::{Arc, LazyLock, OnceLock};

    use gst::glib;
    use gst::prelude::*;
    use gst::subclass::prelude::*;

    use super::super::gate::{self, Gate};
    use super::super::shell::{self, Shell};
    use crate::media::protocol::Plant;

    /// What it gives when it is to ignore its bitrate, bits a second.
    const STUCK_BPS: usize = 8_000_000;
    /// Frames a second that is reckoned with.
    const FPS: usize = 30;

    #[derive(Default)]
    pub(crate) struct Faulty {
        gate: Gate,
        inner: OnceLock<gst::Element>,
        bitrate: AtomicU32,
        stuffing: Arc<AtomicBool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Faulty {
        const NAME: &'static str = "GstFaultyH264Enc";
        type Type = super::Faulty;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for Faulty {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
                let bitrate = glib::ParamSpecUInt::builder("bitrate")
                    .nick("Bitrate")
                    .blurb("Bits a second")
                    .default_value(1_000_000)
                    .build();
                gate::properties().into_iter().chain([bitrate]).collect()
            });
            &PROPERTIES
        }

        fn set_property(&self, _: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
            if pspec.name() != "bitrate" {
                self.gate.set(pspec.name(), value);
                self.stuffing.store(self.gate.plant() == Plant::IgnoresBitrate, Ordering::Relaxed);
                return;
            }
            let bps: u32 = value.get().unwrap_or(1_000_000);
            self.bitrate.store(bps, Ordering::Relaxed);
            if let Some(inner) = self.inner.get() {
                inner.set_property("bitrate", bps);
            }
        }

        fn property(&self, _: usize, pspec: &glib::ParamSpec) -> glib::Value {
            if pspec.name() == "bitrate" {
                return self.bitrate.load(Ordering::Relaxed).to_value();
            }
            self.gate.get(pspec.name())
        }

        fn constructed(&self) {
            self.parent_constructed();
            if let Err(error) = self.build() {
                log::error!("the fake encoder has nothing inside: {error:#}");
            }
        }
    }

    impl Faulty {
        fn build(&self) -> anyhow::Result<()> {
            let inner = shell::fill(self, "openh264", "openh264enc")?;
            for (name, value) in
                [("usage-type", "camera"), ("rate-control", "bitrate"), ("complexity", "low")]
            {
                inner.set_property_from_str(name, value);
            }
            inner.set_property("gop-size", 300u32);
            inner.set_property("scene-change-detection", false);
            self.stuff(&inner);
            let _ = self.inner.set(inner);
            Ok(())
        }

        /// Fills frames up with NAL units that mean nothing (ITU-T H.264, 7.3.2.7), as encoders at a constant rate do.
        fn stuff(&self, inner: &gst::Element) {
            let stuffing = Arc::clone(&self.stuffing);
            let Some(out) = inner.static_pad("src") else { return };
            out.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                if stuffing.load(Ordering::Relaxed)
                    && let Some(buffer) = info.buffer_mut()
                {
                    let missing = (STUCK_BPS / 8 / FPS).saturating_sub(buffer.size() + 6);
                    let mut filler = vec![0, 0, 0, 1, 0x0c];
                    filler.resize(filler.len() + missing, 0xff);
                    filler.push(0x80);
                    buffer.make_mut().append_memory(gst::Memory::from_slice(filler));
                }
                gst::PadProbeReturn::Ok
            });
        }
    }

    impl Shell for Faulty {
        const ERROR: gst::StreamError = gst::StreamError::Encode;

        fn gate(&self) -> &Gate {
            &self.gate
        }

        fn before(&self) {
            if self.gate.plant() == Plant::OnlyKeyFrames
                && let Some(out) = self.inner.get().and_then(|inner| inner.static_pad("src"))
            {
                out.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build());
            }
        }
    }

    impl GstObjectImpl for Faulty {}

    impl ElementImpl for Faulty {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                gst::subclass::ElementMetadata::new(
                    "H.264 encoder that fails on purpose",
                    "Codec/Encoder/Video",
                    "A fake for tests: openh264enc with a planted fault",
                    "rtcroom-kiosk",
                )
            });
            Some(&METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> =
                LazyLock::new(|| shell::templates(&shell::raw(), &shell::coded()));
            &TEMPLATES
        }

        fn change_state(
            &self,
            transition: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            self.gate.change(transition);
            self.parent_change_state(transition)
        }
    }

    impl BinImpl for Faulty {}
}
