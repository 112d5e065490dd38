//! A camera's controls: exposure, focus, power line frequency, flipping; set by name.

use std::collections::BTreeMap;
use std::fmt;

use v4l::v4l_sys as sys;
use v4l::v4l2::vidioc;

use super::{Camera, MANY, ask, text};
use crate::media::protocol::ControlValue;

/// What a control takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number in steps.
    Number {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
        /// At the start.
        default: i64,
    },
    /// On or off.
    Switch,
    /// One of these, by index.
    Menu(Vec<(u32, String)>),
}

/// A control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// V4L2's number of it.
    pub id: u32,
    /// Small letters, with `_` for all that is no letter and no digit, as `v4l2-ctl` prints it.
    pub name: String,
    /// What it takes.
    pub kind: Kind,
    /// What it is; `None` when the camera does not say.
    pub value: Option<i64>,
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(value) = self.value {
            write!(f, " = {value}")?;
        }
        match &self.kind {
            Kind::Number { min, max, default } => write!(f, " ({min} to {max}, at first {default})"),
            Kind::Switch => write!(f, " (true or false)"),
            Kind::Menu(items) => {
                let items: Vec<String> =
                    items.iter().map(|(index, item)| format!("{index} {item:?}")).collect();
                write!(f, " ({})", items.join(", "))
            }
        }
    }
}

/// A name the way `v4l2-ctl` and GStreamer's `extra-controls` write it.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            plain.push(letter.to_ascii_lowercase());
        } else if !plain.is_empty() && !plain.ends_with('_') {
            plain.push('_');
        }
    }
    plain.trim_end_matches('_').to_owned()
}

impl Control {
    /// The number that stands for `value`.
    fn number(&self, value: &ControlValue) -> Result<i64, String> {
        match (&self.kind, value) {
            (Kind::Switch, ControlValue::Switch(on)) => Ok(i64::from(*on)),
            (Kind::Switch, ControlValue::Number(on @ (0 | 1))) => Ok(*on),
            (Kind::Number { min, max, .. }, ControlValue::Number(number))
                if (min..=max).contains(&number) =>
            {
                Ok(*number)
            }
            (Kind::Menu(items), ControlValue::Number(index))
                if items.iter().any(|(known, _)| i64::from(*known) == *index) =>
            {
                Ok(*index)
            }
            (Kind::Menu(items), ControlValue::Item(wanted)) => items
                .iter()
                .find(|(_, item)| plain(item) == plain(wanted))
                .map(|(index, _)| i64::from(*index))
                .ok_or_else(|| format!("{self} takes no {wanted:?}")),
            (_, ControlValue::Switch(on)) => Err(format!("{self} takes no {on}")),
            (_, ControlValue::Number(number)) => Err(format!("{self} takes no {number}")),
            (_, ControlValue::Item(item)) => Err(format!("{self} takes no {item:?}")),
        }
    }
}

/// What to set, in order: a switch or menu (exposure by hand) often frees a number (the exposure), so they go first.
/// And one complaint for each name that is unknown or value that does not fit.
#[must_use]
pub fn plan<'a>(
    controls: &'a [Control],
    wanted: &BTreeMap<String, ControlValue>,
) -> (Vec<(&'a Control, i64)>, Vec<String>) {
    let (mut plan, mut complaints) = (Vec::new(), Vec::new());
    for (name, value) in wanted {
        match controls.iter().find(|control| control.name == plain(name)) {
            Some(control) => match control.number(value) {
                Ok(number) => plan.push((control, number)),
                Err(complaint) => complaints.push(complaint),
            },
            None => {
                let names: Vec<&str> = controls.iter().map(|control| control.name.as_str()).collect();
                let names = if names.is_empty() { "none".into() } else { names.join(", ") };
                complaints.push(format!("it has no control {name}, but these: {names}"));
            }
        }
    }
    plan.sort_by_key(|(control, _)| matches!(control.kind, Kind::Number { .. }));
    (plan, complaints)
}

impl Camera {
    /// The controls that take a number, a switch or a choice and can be written.
    #[must_use]
    pub fn controls(&self) -> Vec<Control> {
        let mut controls = Vec::new();
        let mut id = 0;
        for _ in 0..MANY {
            // SAFETY: a structure of plain numbers.
            let mut found: sys::v4l2_query_ext_ctrl = unsafe { std::mem::zeroed() };
            found.id = id | sys::V4L2_CTRL_FLAG_NEXT_CTRL;
            if ask(&self.device, vidioc::VIDIOC_QUERY_EXT_CTRL, &mut found).is_err() || found.id <= id {
                break;
            }
            id = found.id;
            let unwritable = sys::V4L2_CTRL_FLAG_DISABLED | sys::V4L2_CTRL_FLAG_READ_ONLY;
            if found.flags & unwritable != 0 || found.nr_of_dims > 0 {
                continue;
            }
            let kind = match found.type_ {
                sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER => {
                    Kind::Number { min: found.minimum, max: found.maximum, default: found.default_value }
                }
                sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_BOOLEAN => Kind::Switch,
                menu @ (sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_MENU
                | sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER_MENU) => Kind::Menu(self.items(
                    id,
                    menu == sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_MENU,
                    found.minimum,
                    found.maximum,
                )),
                _ => continue,
            };
            let bytes = found.name.map(|letter| letter as u8);
            controls.push(Control { id, name: plain(&text(&bytes)), kind, value: self.value(id) });
        }
        controls
    }

    /// A menu's items. Drivers leave some out between the first and the last.
    fn items(&self, id: u32, named: bool, first: i64, last: i64) -> Vec<(u32, String)> {
        let first = first.clamp(0, i64::from(MANY)) as u32;
        let last = last.clamp(0, i64::from(MANY)) as u32;
        let item = |index| {
            // SAFETY: a structure of plain numbers.
            let mut menu: sys::v4l2_querymenu = unsafe { std::mem::zeroed() };
            (menu.id, menu.index) = (id, index);
            ask(&self.device, vidioc::VIDIOC_QUERYMENU, &mut menu).ok()?;
            // SAFETY: the control's type says which of the two the kernel filled in.
            let item = unsafe {
                if named {
                    let name = menu.__bindgen_anon_1.name;
                    text(&name)
                } else {
                    let value = menu.__bindgen_anon_1.value;
                    value.to_string()
                }
            };
            Some((index, item))
        };
        (first..=last).filter_map(item).collect()
    }

    fn value(&self, id: u32) -> Option<i64> {
        // SAFETY: a structure of plain numbers.
        let mut control: sys::v4l2_control = unsafe { std::mem::zeroed() };
        control.id = id;
        ask(&self.device, vidioc::VIDIOC_G_CTRL, &mut control).ok().map(|()| i64::from(control.value))
    }

    /// Sets controls by name; what could not be set, a sentence each.
    #[must_use]
    pub fn set(&self, wanted: &BTreeMap<String, ControlValue>) -> Vec<String> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let controls = self.controls();
        let (plan, complaints) = plan(&controls, wanted);
        let mut complaints: Vec<String> =
            complaints.into_iter().map(|text| format!("the camera {}: {text}", self.name)).collect();
        for (control, number) in plan {
            let value = v4l::Control { id: control.id, value: v4l::control::Value::Integer(number) };
            if let Err(error) = self.device.set_control(value) {
                complaints.push(format!(
                    "the camera {} refuses {} = {number} ({error}); another control may have to be set first",
                    self.name, control.name
                ));
            }
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(name: &str, kind: Kind) -> Control {
        Control { id: 1, name: name.into(), kind, value: None }
    }

    fn camera() -> Vec<Control> {
        let menu = |items: &[(u32, &str)]| {
            Kind::Menu(items.iter().map(|(index, item)| (*index, (*item).to_owned())).collect())
        };
        vec![
            control("exposure_time_absolute", Kind::Number { min: 3, max: 2047, default: 250 }),
            control("auto_exposure", menu(&[(1, "Manual Mode"), (3, "Aperture Priority Mode")])),
            control("focus_automatic_continuous", Kind::Switch),
            control("power_line_frequency", menu(&[(0, "Disabled"), (1, "50 Hz"), (2, "60 Hz")])),
        ]
    }

    fn wanted(pairs: &[(&str, ControlValue)]) -> BTreeMap<String, ControlValue> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn names_are_written_the_way_v4l2_ctl_prints_them() {
        assert_eq!(plain("Exposure Time, Absolute"), "exposure_time_absolute");
        assert_eq!(plain("White Balance, Auto & Preset"), "white_balance_auto_preset");
        assert_eq!(plain("50 Hz"), "50_hz");
    }

    #[test]
    fn what_frees_a_number_is_set_before_it() {
        let controls = camera();
        let wanted = wanted(&[
            ("Auto Exposure", ControlValue::Item("manual mode".into())),
            ("exposure_time_absolute", ControlValue::Number(300)),
            ("focus_automatic_continuous", ControlValue::Switch(false)),
            ("power_line_frequency", ControlValue::Number(1)),
        ]);
        let (plan, complaints) = plan(&controls, &wanted);
        assert_eq!(complaints, [""; 0]);
        let plan: Vec<_> =
            plan.into_iter().map(|(control, number)| (control.name.as_str(), number)).collect();
        assert_eq!(plan.last(), Some(&("exposure_time_absolute", 300)));
        assert!(plan.contains(&("auto_exposure", 1)) && plan.contains(&("focus_automatic_continuous", 0)));
        assert!(plan.contains(&("power_line_frequency", 1)));
    }

    #[test]
    fn an_unknown_control_is_named_with_those_there_are() {
        let controls = camera();
        let (plan, complaints) = plan(&controls, &wanted(&[("zoom", ControlValue::Number(1))]));
        assert!(plan.is_empty());
        assert!(
            complaints[0].contains("zoom") && complaints[0].contains("power_line_frequency"),
            "{complaints:?}"
        );
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_with_those_that_do() {
        let controls = camera();
        for (name, value, hint) in [
            ("power_line_frequency", ControlValue::Item("55 Hz".into()), "50 Hz"),
            ("power_line_frequency", ControlValue::Number(7), "60 Hz"),
            ("exposure_time_absolute", ControlValue::Number(9000), "2047"),
            ("focus_automatic_continuous", ControlValue::Number(2), "true or false"),
            ("auto_exposure", ControlValue::Switch(true), "Manual Mode"),
        ] {
            let (plan, complaints) = plan(&controls, &wanted(&[(name, value)]));
            assert!(plan.is_empty(), "{name}");
            assert!(complaints[0].contains(name) && complaints[0].contains(hint), "{complaints:?}");
        }
    }
}
