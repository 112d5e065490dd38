//! The loop around the machine: every source becomes an [`Input`], every [`Output`] is carried out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::control::{self, Ask, Question};
use super::event::{ImNews, Input, Lamp, Output, Reply, Request, RequestId, WorkerNews};
use super::process::Worker;
use super::status::{Anchor, Status};
use super::{Kiosk, Settings, metrics, notify, reboot, renew, resume};
use crate::board::button::Edges;
use crate::board::fitting::Fitting;
use crate::board::lamp::Pattern;
use crate::board::light::Light;
use crate::board::panel::{self, Panel};
use crate::board::{self, press};
use crate::config::Config;
use crate::room::client::Client;
use crate::room::failure::Failure;
use crate::room::wire::ImRequest;

/// Inputs waiting for the loop; whoever finds it full waits.
const INBOX: usize = 64;
/// After the wish to end, the loop ends whatever happens.
const END: Duration = Duration::from_millis(2700);
/// The lamp's line is given up after this, lit or not.
const LAMP_END: Duration = Duration::from_millis(200);

/// What carries the outputs out.
struct Driver {
    kiosk: Kiosk,
    config: Config,
    client: Arc<Client>,
    inbox: mpsc::Sender<Input>,
    worker: Option<Worker>,
    im: Option<JoinHandle<()>>,
    anchor: Anchor,
    ticket: watch::Receiver<renew::View>,
    reboot: reboot::Wish,
    runtime_dir: PathBuf,
    edges: Edges,
    panel: Panel,
    light: Option<Light>,
}

/// Runs the kiosk until SIGTERM or SIGINT, and puts everything away.
pub async fn run(config: Config, client: Client, listener: UnixListener, edges: Edges) -> Result<()> {
    let (inbox, mut inputs) = mpsc::channel(INBOX);
    let (asks, mut questions) = mpsc::channel::<Question>(8);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let address = listener.local_addr()?;
    let runtime_dir = address.as_pathname().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    let controlling = tokio::spawn(control::serve(listener, asks));
    let settings = settings(&config, &client);
    let seed = settings.seed;
    let kiosk = Kiosk::new(settings, Instant::now());
    let client = Arc::new(client);
    let light = board::open(&config.button, &config.lamp, &config.tamper, &edges)?;
    let panel = Panel::new(&config.button, config.lamp.clone(), &config.tamper, Instant::now());
    let (view, ticket) = watch::channel(renew::View::default());
    let renewing = tokio::spawn(renew::keep(client.clone(), seed, view, inbox.clone()));
    let mut driver = Driver {
        kiosk,
        config,
        client,
        inbox,
        worker: None,
        im: None,
        anchor: Anchor::now(),
        ticket,
        reboot: reboot::Wish::default(),
        runtime_dir,
        edges,
        panel,
        light,
    };
    let edges = driver.edges.clone();
    let watchdog = notify::watchdog_period();
    let mut end: Option<Instant> = None;
    let mut ready = false;
    let (mut note, resuming) = resume::Note::find(&driver.runtime_dir);
    let mut resuming = resuming.then(|| Instant::now() + resume::GET_READY);
    driver.kiosk.handle(Input::Time, Instant::now());
    while let Some(mut until) = driver.drain() {
        notify::watchdog();
        driver.wish_for_reboot();
        note.keep(driver.kiosk.is_in_call() && end.is_none());
        if let Some(until) = resuming {
            let idle = driver.kiosk.state_name() == "idle";
            if idle || Instant::now() > until {
                resuming = None;
            }
            if idle && Instant::now() <= until {
                log::warn!("kioskd ended in a call: going back into it");
                driver.kiosk.handle(Input::Press, Instant::now());
                continue;
            }
        }
        if !ready && driver.kiosk.is_up() {
            ready = true;
            notify::ready();
        }
        if let Some(period) = watchdog {
            until = until.min(Instant::now() + period);
        }
        let input = tokio::select! {
            Some(input) = inputs.recv() => input,
            // `drain` takes it.
            () = edges.news() => Input::Time,
            Some(question) = questions.recv() => {
                driver.answer(question);
                continue;
            }
            _ = terminate.recv() => Input::Shutdown,
            _ = interrupt.recv() => Input::Shutdown,
            () = tokio::time::sleep_until(until.into()) => Input::Time,
            () = tokio::time::sleep_until(end.unwrap_or(until).into()), if end.is_some() => {
                log::warn!("not everything could be put away in time");
                break;
            }
        };
        if matches!(input, Input::Shutdown) {
            notify::stopping();
            end.get_or_insert(Instant::now() + END);
        }
        driver.kiosk.handle(input, Instant::now());
    }
    controlling.abort();
    renewing.abort();
    if let Some(light) = driver.light {
        light.put_out(LAMP_END);
    }
    Ok(())
}

fn settings(config: &Config, client: &Client) -> Settings {
    let (waiting, alone) = config.call.durations();
    // Spreads the retries of many kiosks; the process id and the time differ enough for that.
    let time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    Settings {
        kind: client.kind(),
        room_id: config.room.id.clone(),
        user_id: config.user.id.clone(),
        language: config.language,
        waiting,
        alone,
        early_media: config.call.early_media,
        media: config.media.clone(),
        seed: u64::from(time) << 32 | u64::from(std::process::id()),
    }
}

impl Driver {
    /// Tells the machine what was done to the panel, and carries out everything it wants; when to come back, or `None`
    /// when it is finished.
    fn drain(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let (standings, signals) = self.edges.take();
        for (fitting, standing) in Fitting::ALL.into_iter().zip(standings) {
            standing.into_iter().for_each(|standing| self.panel.stands(fitting, standing));
        }
        signals.iter().for_each(|signal| self.panel.signal(*signal));
        let mut until = self.carry_all_out()?;
        while let Some(event) = self.panel.poll(now) {
            self.kiosk.handle(input(event), now);
            until = self.carry_all_out()?;
        }
        if let Some(light) = &self.light {
            light.set(self.panel.light(now));
        }
        Some(self.panel.next(now).map_or(until, |at| at.min(until)))
    }

    fn carry_all_out(&mut self) -> Option<Instant> {
        loop {
            match self.kiosk.poll_output() {
                Output::Timeout(at) => return Some(at),
                Output::Finished => return None,
                output => self.carry_out(output),
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Timeout(_) | Output::Finished => {}
            Output::Request { id, request } => {
                tokio::spawn(request_and_reply(self.client.clone(), id, request, self.inbox.clone()));
            }
            Output::OpenIm { serial, resume_after } => {
                if let Some(old) = self.im.take() {
                    old.abort();
                }
                self.im =
                    Some(tokio::spawn(listen(self.client.clone(), serial, resume_after, self.inbox.clone())));
            }
            Output::Spawn { generation } => {
                // The one before is gone, or hangs in the kernel; either way it is no longer ours.
                self.worker = None;
                match Worker::start(&self.config.worker, generation, self.inbox.clone()) {
                    Ok(worker) => self.worker = Some(worker),
                    Err(error) => {
                        let reason = format!("{}: {error}", self.config.worker);
                        let inbox = self.inbox.clone();
                        let input = Input::Worker { generation, news: WorkerNews::Gone { reason } };
                        tokio::spawn(async move { inbox.send(input).await });
                    }
                }
            }
            Output::Kill { generation } => {
                if let Some(worker) = self.worker.as_mut().filter(|worker| worker.generation() == generation)
                {
                    worker.kill();
                }
            }
            Output::Tell { generation, command } => {
                if let Some(worker) = self.worker.as_mut().filter(|worker| worker.generation() == generation)
                {
                    worker.tell(command);
                }
            }
            Output::Lamp(show) => {
                log::debug!("lamp: {show:?}");
                self.panel.show(|lamp| pattern(lamp, show), Instant::now());
            }
            Output::Status => {
                notify::status(&format!("{}: {}", self.kiosk.state_name(), self.kiosk.detail()));
            }
        }
    }

    fn status(&self) -> Status {
        let mut status = self.kiosk.status(self.anchor);
        let ticket = self.ticket.borrow();
        status.ticket.expires_unix = ticket.expires.or(status.ticket.expires_unix);
        status.ticket.renew_unix = ticket.renew_at;
        status.ticket.warning.clone_from(&ticket.warning);
        status
    }

    /// Asks for a reboot when there is no other way.
    fn wish_for_reboot(&mut self) {
        let (broken, busy) = (self.kiosk.has_no_worker(), self.kiosk.is_in_call());
        if self.config.reboot && self.reboot.is_due(broken, busy, Instant::now()) {
            let path = self.runtime_dir.join(reboot::WISH);
            log::error!("no media worker works: asking for a reboot");
            if let Err(error) = std::fs::write(&path, "no media worker works\n") {
                log::error!("{}: {error}", path.display());
            }
        }
    }

    fn answer(&mut self, question: Question) {
        let now = Instant::now();
        let reply = match question.ask {
            Ask::Status => serde_json::to_value(self.status()).unwrap_or_default(),
            Ask::Metrics => json!({ "ok": true, "text": metrics::text(&self.status()) }),
            Ask::Press | Ask::Hangup => {
                let input = if question.ask == Ask::Press { Input::Press } else { Input::Hangup };
                self.kiosk.handle(input, now);
                json!({ "ok": true, "state": self.kiosk.state_name(), "detail": self.kiosk.detail() })
            }
        };
        let _ = question.answer.send(reply);
    }
}

fn input(event: panel::Event) -> Input {
    match event {
        panel::Event::Button(press::Event::Press) => Input::Press,
        panel::Event::Button(press::Event::LongPress) => Input::LongPress,
        panel::Event::Button(press::Event::Stuck) => Input::Stuck(true),
        panel::Event::Button(press::Event::Unstuck) => Input::Stuck(false),
        panel::Event::Door { open } => Input::Door { open },
        panel::Event::Fitting(fitting, standing) => Input::Fitting(fitting, standing),
    }
}

fn pattern(lamp: &board::lamp::Lamp, show: Lamp) -> Option<&Pattern> {
    match show {
        Lamp::Idle => Some(&lamp.idle),
        Lamp::Waiting => Some(&lamp.waiting),
        Lamp::InCall => Some(&lamp.in_call),
        Lamp::Trouble => Some(&lamp.trouble),
        Lamp::Off => None,
    }
}

/// Carries out one request and always replies, even if carrying it out panics.
async fn request_and_reply(client: Arc<Client>, id: RequestId, request: Request, inbox: mpsc::Sender<Input>) {
    let reply =
        tokio::spawn(async move { carry_out(&client, &request).await }).await.unwrap_or_else(|error| {
            log::error!("a request ended without an answer: {error}");
            Err(Failure::Unreachable { host: String::new(), detail: error.to_string() })
        });
    let _ = inbox.send(Input::Reply { id, reply }).await;
}

async fn carry_out(client: &Client, request: &Request) -> Result<Reply, Failure> {
    let session =
        |session: crate::room::whip::Session| Reply::Session { sdp: session.sdp, resource: session.resource };
    match request {
        Request::Login => client.login().await.map(|expires_unix| Reply::LoggedIn { expires_unix }),
        Request::PushAddress => client.push_address().await.map(Reply::PushAddress),
        Request::TakeSeat { push_url } => client.add_pusher(push_url).await.map(|()| Reply::Done),
        Request::GiveSeat => client.delete_pusher().await.map(|()| Reply::Done),
        Request::Members => client.get_pushers().await.map(Reply::Members),
        Request::Heartbeat => client.heartbeat().await.map(|()| Reply::Done),
        Request::Warm { push_url } => client.warm(push_url.as_deref()).await.map(|()| Reply::Done),
        Request::Publish { url, sdp } => client.post_offer("publishing (WHIP)", url, sdp).await.map(session),
        Request::Play { url, sdp } => client.post_offer("playing (WHEP)", url, sdp).await.map(session),
        Request::Delete { url } => client.delete_resource(url).await.map(|()| Reply::Done),
    }
}

/// Opens the message socket and hands on what it says until it closes.
async fn listen(client: Arc<Client>, serial: u32, resume_after: Option<u64>, inbox: mpsc::Sender<Input>) {
    let news = |news| Input::Im { serial, news };
    let mut socket = match client.open_im().await {
        Ok(socket) => socket,
        Err(failure) => {
            let _ = inbox.send(news(ImNews::Closed(failure))).await;
            return;
        }
    };
    let mut failure = None;
    if let Some(after) = resume_after {
        let room_id = client.room_id().to_owned();
        failure = socket.send(&ImRequest::Resume { kind: client.kind(), room_id, after }).await.err();
    }
    if inbox.send(news(ImNews::Open)).await.is_err() {
        return;
    }
    let failure = loop {
        if let Some(failure) = failure {
            break failure;
        }
        match socket.next().await {
            Ok(event) => {
                if inbox.send(news(ImNews::Event(Box::new(event)))).await.is_err() {
                    return;
                }
            }
            Err(failure) => break failure,
        }
    };
    let _ = inbox.send(news(ImNews::Closed(failure))).await;
}
