//! `faultyh264dec`: a real decoder in a bin, with a fault at its door.

use gst::glib;

glib::wrapper! {
    /// The bin.
    pub(crate) struct Faulty(ObjectSubclass<imp::Faulty>) @extends gst::Bin, gst::Element, gst::Object;
}

mod imp {
    use std::sync::LazyLock;

    use gst::glib;
    use gst::subclass::prelude::*;

    use super::super::gate::{self, Gate};
    use super::super::shell::{self, Shell};

    #[derive(Default)]
    pub(crate) struct Faulty {
        gate: Gate,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Faulty {
        // Instances are named after it, and the worker knows a decoder by its name: `faultyh264dec0`.
        const NAME: &'static str = "GstFaultyH264Dec";
        type Type = super::Faulty;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for Faulty {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(gate::properties);
            &PROPERTIES
        }

        fn set_property(&self, _: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
            self.gate.set(pspec.name(), value);
        }

        fn property(&self, _: usize, pspec: &glib::ParamSpec) -> glib::Value {
            self.gate.get(pspec.name())
        }

        fn constructed(&self) {
            self.parent_constructed();
            if let Err(error) = shell::fill(self, "openh264", "openh264dec") {
                log::error!("the fake decoder has nothing inside: {error:#}");
            }
        }
    }

    impl Shell for Faulty {
        const ERROR: gst::StreamError = gst::StreamError::Decode;

        fn gate(&self) -> &Gate {
            &self.gate
        }
    }

    impl GstObjectImpl for Faulty {}

    impl ElementImpl for Faulty {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                gst::subclass::ElementMetadata::new(
                    "H.264 decoder that fails on purpose",
                    "Codec/Decoder/Video",
                    "A fake for tests: openh264dec with a planted fault",
                    "rtcroom-kiosk",
                )
            });
            Some(&METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> =
                LazyLock::new(|| shell::templates(&shell::coded(), &shell::raw()));
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
