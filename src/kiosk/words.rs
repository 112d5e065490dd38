//! Everything the customer reads, in Chinese and English.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::media::protocol::{Part, Screen, View};
use crate::room::failure::Failure;
use crate::room::wire::code;

/// The language of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// 简体中文.
    #[default]
    Zh,
    /// English.
    En,
}

/// Why the kiosk cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// RoomService does not answer, or answers no.
    Server(Arc<Failure>),
    /// The media worker does not stay alive.
    Worker(Arc<str>),
}

impl Trouble {
    /// Whether somebody has to repair something; otherwise it may pass by itself.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Worker(_) => true,
            Self::Server(failure) => match &**failure {
                Failure::UnknownHost { .. } | Failure::Unreachable { .. } | Failure::TimedOut { .. } => false,
                Failure::Status { status, .. } => *status < 500,
                Failure::Code { code, .. } => *code > 0 && *code != code::TOO_MANY,
                _ => true,
            },
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(failure) => failure.fmt(f),
            Self::Worker(reason) => write!(f, "the media worker does not stay alive: {reason}"),
        }
    }
}

/// Why a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The button.
    Pressed,
    /// The control socket, or the button held for the long time.
    HungUp,
    /// The room was full.
    Busy,
    /// The clerk said that the call is over.
    OtherHungUp,
    /// Nobody answered in time.
    NobodyCame,
    /// The others went.
    EverybodyLeft,
    /// The room was closed.
    RoomClosed,
    /// The server refused the seat or the media.
    Refused(Arc<Failure>),
    /// The server could not be reached any more, or not in time.
    NoConnection,
    /// The media worker did not stay alive.
    NoMedia,
    /// We are ending.
    Shutdown,
}

impl End {
    /// Whether the customer is told why, for some seconds.
    #[must_use]
    pub fn is_worth_a_sentence(&self) -> bool {
        !matches!(self, Self::Pressed | Self::HungUp | Self::OtherHungUp | Self::Shutdown)
    }
}

/// What is to be said; the words come from [`screen`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// Getting ready.
    Starting,
    /// Press the button.
    Idle,
    /// Everything waits for a button that does not work.
    NoButton,
    /// Calling.
    Joining,
    /// In the room, nobody else is.
    Waiting,
    /// Talking.
    InCall,
    /// The other one went and may come back.
    Alone,
    /// The call was cut and is coming back.
    ComingBack,
    /// Hanging up.
    Leaving,
    /// Why the last call ended.
    Ended(End),
    /// Not usable.
    Trouble(Trouble),
}

/// The words for `say`, with a hint when a part of the board is `broken`.
#[must_use]
pub fn screen(language: Language, say: &Say, broken: Option<Part>) -> Screen {
    let (view, headline, detail) = match say {
        Say::Starting => (View::Idle, ["请稍候", "One moment"], ["正在准备…", "Getting ready…"]),
        Say::Idle => (View::Idle, ["请按按钮开始视频通话", "Press the button to talk to us"], ["", ""]),
        Say::NoButton => (
            View::Trouble,
            ["设备需要维护，请联系工作人员", "This device needs service, please tell the staff"],
            ["按钮无法使用", "The button does not work"],
        ),
        Say::Joining => {
            (View::Waiting, ["正在接通…", "Connecting…"], ["再按一次可取消", "Press again to cancel"])
        }
        Say::Waiting => (
            View::Waiting,
            ["正在等待工作人员接听…", "Waiting for somebody to answer…"],
            ["再按一次可取消", "Press again to cancel"],
        ),
        Say::InCall => (View::InCall, ["", ""], ["", ""]),
        Say::Alone => (
            View::Waiting,
            ["对方已离开", "The other side has left"],
            ["请稍候，对方可能会回来；按按钮结束", "Please wait, they may come back; press to end"],
        ),
        Say::ComingBack => (
            View::Waiting,
            ["连接中断，正在恢复…", "The connection was cut, reconnecting…"],
            ["请稍候，无需操作", "One moment, there is nothing you need to do"],
        ),
        Say::Leaving => (View::Idle, ["通话结束", "Call ended"], ["谢谢", "Thank you"]),
        Say::Ended(end) => return ended(language, end),
        Say::Trouble(trouble) => return troubled(language, trouble),
    };
    let mut detail = language.pick(detail).to_owned();
    if let Some(part) = broken {
        detail = language.pick(broken_part(part)).to_owned();
    }
    Screen { view, headline: language.pick(headline).to_owned(), detail }
}

impl Language {
    fn pick(self, [zh, en]: [&'static str; 2]) -> &'static str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

fn broken_part(part: Part) -> [&'static str; 2] {
    match part {
        Part::Camera => ["摄像头无法使用，请联系工作人员", "The camera does not work; please tell the staff"],
        Part::Microphone => {
            ["麦克风无法使用，请联系工作人员", "The microphone does not work; please tell the staff"]
        }
        Part::Speaker => {
            ["扬声器无法使用，请联系工作人员", "The speaker does not work; please tell the staff"]
        }
        Part::Encoder => ["视频编码出错，正在恢复", "The picture cannot be sent; trying again"],
        Part::Decoder => ["视频解码出错，正在恢复", "The picture cannot be shown; trying again"],
        Part::Screen => ["屏幕出错，请联系工作人员", "The screen does not work; please tell the staff"],
    }
}

fn ended(language: Language, end: &End) -> Screen {
    let later = ["请稍后再按按钮重试", "Please press the button again a little later"];
    let (headline, detail) = match end {
        End::Pressed | End::HungUp | End::OtherHungUp | End::Shutdown => {
            (["通话结束", "Call ended"], ["谢谢", "Thank you"])
        }
        End::Busy => (["线路忙，请稍后再试", "The line is busy, please try again later"], later),
        End::NobodyCame => (["暂时无人接听", "Nobody can answer right now"], later),
        End::EverybodyLeft | End::RoomClosed => {
            (["对方已结束通话", "The other side has ended the call"], ["谢谢", "Thank you"])
        }
        End::Refused(failure) => return troubled(language, &Trouble::Server(failure.clone())),
        End::NoConnection => (["连接已中断", "The connection was lost"], later),
        End::NoMedia => (["音视频无法启动", "Picture and sound cannot be started"], later),
    };
    Screen {
        view: View::Trouble,
        headline: language.pick(headline).to_owned(),
        detail: language.pick(detail).to_owned(),
    }
}

fn troubled(language: Language, trouble: &Trouble) -> Screen {
    let unusable = ["暂时无法使用", "Not available right now"];
    let staff = ["设备需要维护，请联系工作人员", "This device needs service, please tell the staff"];
    let server = match trouble {
        Trouble::Server(failure) => &**failure,
        Trouble::Worker(reason) => {
            let why = match language {
                Language::Zh => format!("音视频程序无法运行：{reason}"),
                Language::En => format!("The media program does not run: {reason}"),
            };
            return Screen { view: View::Trouble, headline: language.pick(staff).to_owned(), detail: why };
        }
    };
    let (headline, detail) = match (server, language) {
        (Failure::UnknownHost { host, .. }, Language::Zh) => {
            (unusable, format!("找不到服务器 {host}，正在重试"))
        }
        (Failure::UnknownHost { host, .. }, Language::En) => {
            (unusable, format!("Server {host} cannot be found; trying again"))
        }
        (Failure::Unreachable { host, .. }, Language::Zh) => {
            (unusable, format!("无法连接服务器 {host}，正在重试"))
        }
        (Failure::Unreachable { host, .. }, Language::En) => {
            (unusable, format!("Server {host} cannot be reached; trying again"))
        }
        (Failure::TimedOut { host, .. }, Language::Zh) => {
            (unusable, format!("服务器 {host} 没有响应，正在重试"))
        }
        (Failure::TimedOut { host, .. }, Language::En) => {
            (unusable, format!("Server {host} does not answer; trying again"))
        }
        (Failure::UnknownAuthority { host, .. }, Language::Zh) => {
            (staff, format!("服务器 {host} 的证书由未知机构签发"))
        }
        (Failure::UnknownAuthority { host, .. }, Language::En) => {
            (staff, format!("The certificate of {host} is from an unknown authority"))
        }
        (Failure::Tls { host, .. }, Language::Zh) => (staff, format!("无法与 {host} 建立安全连接")),
        (Failure::Tls { host, .. }, Language::En) => (staff, format!("No secure connection to {host}")),
        (Failure::Clock { .. }, Language::Zh) => (staff, "设备时间不正确".into()),
        (Failure::Clock { .. }, Language::En) => (staff, "The clock of this device is wrong".into()),
        (Failure::NoTicket { .. }, Language::Zh) => (staff, "没有可用的登录票据".into()),
        (Failure::NoTicket { .. }, Language::En) => (staff, "There is no ticket to log in with".into()),
        (Failure::TicketExpired { .. }, Language::Zh) => (staff, "登录票据已过期，请更换".into()),
        (Failure::TicketExpired { .. }, Language::En) => {
            (staff, "The ticket has expired and must be replaced".into())
        }
        (Failure::Code { code: code::REFUSED, message, .. }, Language::Zh) => {
            (staff, format!("登录票据被拒绝：{message}"))
        }
        (Failure::Code { code: code::REFUSED, message, .. }, Language::En) => {
            (staff, format!("The ticket was refused: {message}"))
        }
        (Failure::Code { code: code::FORBIDDEN, .. }, Language::Zh) => (staff, "此设备无权进入该房间".into()),
        (Failure::Code { code: code::FORBIDDEN, .. }, Language::En) => {
            (staff, "This device may not enter its room".into())
        }
        (Failure::Code { code, message, .. }, Language::Zh) => {
            (unusable, format!("服务器答复 {code}：{message}"))
        }
        (Failure::Code { code, message, .. }, Language::En) => {
            (unusable, format!("The server says {code}: {message}"))
        }
        (Failure::Status { host, status, .. }, Language::Zh) => {
            (unusable, format!("服务器 {host} 答复 HTTP {status}"))
        }
        (Failure::Status { host, status, .. }, Language::En) => {
            (unusable, format!("Server {host} answers HTTP {status}"))
        }
        (Failure::Nonsense { host, .. }, Language::Zh) => (staff, format!("{host} 不是预期的服务器")),
        (Failure::Nonsense { host, .. }, Language::En) => {
            (staff, format!("{host} is not the server expected here"))
        }
    };
    Screen { view: View::Trouble, headline: language.pick(headline).to_owned(), detail }
}
