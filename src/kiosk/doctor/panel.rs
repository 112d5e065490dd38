//! Button, lamp and door switch: taken for a moment, as `kioskd` takes them.

use std::time::{Duration, Instant};

use super::finding::{Finding, Part, Verdict};
use crate::board::button::{Edges, Kind, Signal};
use crate::board::fitting::{Fitting, Standing};
use crate::board::{self, lamp};
use crate::config::Config;

/// Longer no driver takes to open a line.
const PATIENCE: Duration = Duration::from_secs(4);
/// A finger is off again after this.
const HELD: Duration = Duration::from_millis(800);
/// The one board that has no button of its own.
const SIMULATOR: &str = "simulator";

/// Tries the three; waits a little, so not for an async task.
#[must_use]
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let edges = Edges::default();
    let light = match board::open(&config.button, &config.lamp, &config.tamper, &edges) {
        Ok(light) => light,
        Err(error) => {
            return vec![Finding::fail(
                Part::Button,
                error.to_string(),
                "the board is out of threads: reboot it",
            )];
        }
    };
    let mut standings = [const { Standing::Absent }; 3];
    let mut held = [false; 3];
    let wanted = [true, config.lamp.kind == lamp::Kind::Gpio, config.tamper.kind == lamp::Kind::Gpio];
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let (news, signals) = edges.take();
        for (standing, news) in standings.iter_mut().zip(news) {
            *standing = news.unwrap_or(std::mem::take(standing));
        }
        for signal in signals {
            if let Signal::Level { fitting, active, .. } = signal {
                held[fitting as usize] = active;
            }
        }
        let settled = |fitting: Fitting| {
            let standing = &standings[fitting as usize];
            !wanted[fitting as usize] || !matches!(standing, Standing::Absent | Standing::Opening)
        };
        if Fitting::ALL.into_iter().all(settled) && begin.elapsed() > HELD {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(light);
    let simulated = config.media.labels.board == SIMULATOR;
    let mut findings: Vec<Finding> = Fitting::ALL
        .into_iter()
        .map(|fitting| judge(fitting, &standings[fitting as usize], wanted[fitting as usize]))
        .collect();
    let button = &mut findings[Fitting::Button as usize];
    if config.button.kind == Kind::Terminal && !simulated {
        *button = Finding::new(
            Part::Button,
            Verdict::Warn,
            "the board file names no line, so only `kioskd press` calls",
            "set kind = \"gpio\" and [button.gpio] in kioskd.toml, with the line your button is soldered to",
        );
    } else if button.verdict == Verdict::Ok && held[Fitting::Button as usize] {
        *button = Finding::new(
            Part::Button,
            Verdict::Warn,
            format!("{}: it reads as pressed", button.detail),
            "let go of it; if nobody holds it, it is stuck, or [button.gpio] active_low or pull is wrong",
        );
    }
    findings
}

fn part(fitting: Fitting) -> Part {
    match fitting {
        Fitting::Button => Part::Button,
        Fitting::Lamp => Part::Lamp,
        Fitting::Tamper => Part::Tamper,
    }
}

/// How a part stands, as a finding. The sentences of `board::fault` end in their cure, behind a colon.
fn judge(fitting: Fitting, standing: &Standing, wanted: bool) -> Finding {
    let part = part(fitting);
    match standing {
        Standing::Armed { .. } => Finding::ok(part, standing.to_string()),
        Standing::Trouble { detail } => Finding::told(part, Verdict::Fail, detail),
        Standing::Absent if !wanted => {
            let section = if fitting == Fitting::Lamp { "lamp" } else { "tamper" };
            Finding::ok(
                part,
                format!("none: the board file says so, or says nothing; [{section}] in kioskd.toml"),
            )
        }
        Standing::Absent | Standing::Opening => Finding::fail(
            part,
            format!("its line did not open within {} s", PATIENCE.as_secs()),
            "its driver hangs: see dmesg, and reboot the board",
        ),
    }
}

/// The same from what a running `kioskd` says of its panel: it has the lines.
#[must_use]
pub(super) fn of_status(panel: &serde_json::Value) -> Vec<Finding> {
    let all = [("button", Fitting::Button), ("lamp", Fitting::Lamp), ("tamper", Fitting::Tamper)];
    all.into_iter().map(|(name, fitting)| of_kioskd(fitting, &panel[name])).collect()
}

fn of_kioskd(fitting: Fitting, told: &serde_json::Value) -> Finding {
    let part = part(fitting);
    let text = |name: &str| told[name].as_str().unwrap_or_default();
    match text("state") {
        "armed" if told["stuck"] == true => Finding::fail(
            part,
            format!("{} is stuck or held down, and ignored", text("at")),
            "let go of it; if nobody holds it, mend it, or see [button.gpio] active_low",
        ),
        "armed" => Finding::ok(part, format!("{}, held by kioskd", text("at"))),
        "absent" => Finding::ok(part, "none: the board file says so, or says nothing"),
        "trouble" => Finding::told(part, Verdict::Fail, text("detail")),
        other => Finding::new(part, Verdict::Warn, format!("kioskd says {other:?}"), "ask again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kioskd_says_of_its_panel_is_judged() {
        let panel = serde_json::json!({
            "button": {"state": "armed", "at": "gpiochip0, line 4", "stuck": true},
            "lamp": {"state": "trouble", "detail": "GPIO chip x is not there; load its driver"},
            "tamper": {"state": "absent", "open": null},
        });
        let verdicts: Vec<Verdict> = of_status(&panel).iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Fail, Verdict::Fail, Verdict::Ok]);
        assert_eq!(of_status(&serde_json::Value::Null)[0].verdict, Verdict::Warn);
    }

    #[test]
    fn a_line_that_never_opens_is_told() {
        let hung = judge(Fitting::Lamp, &Standing::Opening, true);
        assert_eq!(hung.verdict, Verdict::Fail);
        assert_eq!(judge(Fitting::Lamp, &Standing::Absent, false).verdict, Verdict::Ok);
    }
}
