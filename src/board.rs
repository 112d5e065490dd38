//! The board: its file, its button, its lamp and its door switch.
//!
//! ```text
//! watch (a thread a line) ──► button::Edges ──► panel::Panel (no I/O) ──► presses, door: kiosk
//!    gpio, raspberry, simulated                     │  press, debounce, lamp
//!                                                   └──► light (a thread): the lamp's line
//! ```
//! [`camera`], [`screen`] and [`font`] say what there is for the media worker, [`holder`] who has a device.

pub mod button;
pub mod camera;
pub mod debounce;
pub mod fault;
pub mod file;
pub mod fitting;
pub mod font;
pub mod gpio;
pub mod holder;
pub mod lamp;
pub mod light;
pub mod line;
pub mod panel;
pub mod press;
mod raspberry;
pub mod screen;
mod simulated;
pub mod sound;
pub mod tamper;
pub mod watch;

use self::button::{Button, Edges};
use self::fitting::{Fitting, Standing};
use self::lamp::Lamp;
use self::light::Light;
use self::tamper::Tamper;

/// Starts the threads of the parts there are; `edges` says how they fare. Fails only when no thread can be had.
pub fn open(button: &Button, lamp: &Lamp, tamper: &Tamper, edges: &Edges) -> std::io::Result<Option<Light>> {
    match (&button.gpio, button.kind) {
        (Some(line), button::Kind::Gpio) => watch::follow(Fitting::Button, line.clone(), edges)?,
        _ => {
            let at = "`kioskd press`, and Enter on its terminal if it has one".into();
            edges.stands(Fitting::Button, Standing::Armed { at, follows: None });
        }
    }
    if let (Some(line), lamp::Kind::Gpio) = (&tamper.gpio, tamper.kind) {
        watch::follow(Fitting::Tamper, line.clone(), edges)?;
    }
    match (&lamp.gpio, lamp.kind) {
        (Some(line), lamp::Kind::Gpio) => Light::start(line.clone(), edges.clone()).map(Some),
        _ => Ok(None),
    }
}
