//! The relay's thread: one UDP socket, one timer, one queue of commands.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::directory::Directory;
use super::engine::{Command, Engine};

/// Datagrams read before commands and timers have their turn again.
const BATCH: usize = 64;
/// str0m reads and writes at most 2000 bytes.
const MAX_DATAGRAM: usize = 2000;

/// Starts the thread; it ends when the last sender of commands is dropped.
pub(super) fn spawn(
    socket: std::net::UdpSocket,
    directory: Arc<Directory>,
    commands: mpsc::UnboundedReceiver<Command>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let socket = {
        let _inside = runtime.enter();
        UdpSocket::from_std(socket)?
    };
    std::thread::Builder::new()
        .name("relay".into())
        .spawn(move || runtime.block_on(run(&socket, Engine::new(directory), commands)))
        .map(drop)
}

async fn run(socket: &UdpSocket, mut engine: Engine, mut commands: mpsc::UnboundedReceiver<Command>) {
    let v6 = socket.local_addr().is_ok_and(|a| a.is_ipv6());
    // A full socket buffer loses the datagram, as any network may: the loop never waits to send.
    let mut send = |to: SocketAddr, datagram: &[u8]| {
        if let Err(error) = socket.try_send_to(datagram, on_wire(to, v6)) {
            log::debug!("relay: nothing sent to {to}: {error}");
        }
    };
    let mut buffer = [0; MAX_DATAGRAM + 1];
    loop {
        let deadline = engine.deadline();
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(command) => engine.command(command, Instant::now(), &mut send),
                None => return engine.shut_down(Instant::now(), &mut send),
            },
            ready = socket.readable() => {
                if let Err(error) = ready {
                    log::error!("relay: its UDP socket failed, no media will flow: {error}");
                    return engine.shut_down(Instant::now(), &mut send);
                }
                for _ in 0..BATCH {
                    match socket.try_recv_from(&mut buffer) {
                        Ok((len, from)) if len <= MAX_DATAGRAM => {
                            engine.datagram(canonical(from), &buffer[..len], Instant::now(), &mut send);
                        }
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        // ICMP errors of earlier sends come back here; the sessions notice by themselves.
                        Err(error) => log::trace!("relay: recv: {error}"),
                    }
                }
            }
            () = timer => {}
        }
        engine.tick(Instant::now(), &mut send);
    }
}

/// An IPv4 sender on a dual-stack socket, as IPv4.
fn canonical(from: SocketAddr) -> SocketAddr {
    SocketAddr::new(from.ip().to_canonical(), from.port())
}

fn on_wire(to: SocketAddr, v6: bool) -> SocketAddr {
    match to.ip() {
        IpAddr::V4(ip) if v6 => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()),
        _ => to,
    }
}
