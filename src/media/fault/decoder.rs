//! `faultyh264dec`: a real decoder in a bin, with a fault at its door.

use gst::glib;

glib::wrapper! {
    /// The bin.
    pub(crate) struct Faulty(ObjectSubclass<imp::Faulty>) @extends gst::Bin, gst::Element, gst::Object;
}

mod imp {
    use std::sync::LazyLock;

    use gst::glib;
    use gst::prelude::*;
    use gst::subclass::prelude::*;

    use super::super::gate::{self, Gate};
    use crate::media::plugins;

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
            if let Err(error) = self.build() {
                log::error!("the fake decoder has nothing inside: {error:#}");
            }
        }
    }

    impl Faulty {
        fn build(&self) -> anyhow::Result<()> {
            let inner = plugins::element("openh264", "openh264dec")?;
            let obj = self.obj();
            obj.add(&inner)?;
            for template in obj.pad_template_list() {
                let target = inner.static_pad(template.name_template());
                let target = target.ok_or_else(|| anyhow::anyhow!("openh264dec has no such pad"))?;
                let pad = if template.direction() == gst::PadDirection::Sink {
                    gst::GhostPad::builder_from_template(&template).chain_function(
                        |pad: &gst::GhostPad, parent, buffer| {
                            Self::catch_panic_pad_function(
                                parent,
                                || Err(gst::FlowError::Error),
                                |this| {
                                    this.gate.pass(&*this.obj())?;
                                    gst::ProxyPad::chain_default(pad, Some(&*this.obj()), buffer)
                                },
                            )
                        },
                    )
                } else {
                    gst::GhostPad::builder_from_template(&template)
                };
                let pad = pad.name(template.name_template()).build();
                pad.set_target(Some(&target))?;
                obj.add_pad(&pad)?;
            }
            Ok(())
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
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let raw = gst::Caps::builder("video/x-raw").field("format", "I420").build();
                let coded = gst::Caps::builder("video/x-h264")
                    .field("stream-format", "byte-stream")
                    .field("alignment", "au")
                    .build();
                let always = gst::PadPresence::Always;
                [("sink", gst::PadDirection::Sink, coded), ("src", gst::PadDirection::Src, raw)]
                    .into_iter()
                    .filter_map(|(name, way, caps)| gst::PadTemplate::new(name, way, always, &caps).ok())
                    .collect()
            });
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
