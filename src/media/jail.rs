//! What the worker takes from itself before it touches anything from outside: Internet sockets other than UDP.
//!
//! The unit cannot say this (`RestrictAddressFamilies=` knows families, not types), so the worker does, wherever it
//! runs: media needs UDP, a local display and the sound server `AF_UNIX`, and nothing needs TCP. Code that an attacker
//! smuggles in through a codec then reaches no database, no web server and no shell over the network. io_uring, which
//! makes sockets without `socket()`, is refused too.
//!
//! A few instructions of classic BPF, and not a crate: seccompiler knows no 32-bit ARM. The numbers are Linux 6.1's, of
//! the files named; those of system calls are the `libc` crate's for each architecture.
//!
//! `socketcall()`, the other way to a socket, is on none of these architectures: 32-bit ARM has it for the old ABI alone
//! (`arch/arm/tools/syscall.tbl`), and a kernel that runs the old ABI has no seccomp filters (`arch/arm/Kconfig`,
//! `HAVE_ARCH_SECCOMP_FILTER`).

use std::io::{Error, Result};

/// The architecture whose system calls the filter knows: ELF machine (`include/uapi/linux/elf-em.h:26-51`), 64-bit flag and
/// little-endian flag (`include/uapi/linux/audit.h:385-440`, `AUDIT_ARCH_…`).
const ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") {
    62 | 0xC000_0000
} else if cfg!(target_arch = "aarch64") {
    183 | 0xC000_0000
} else if cfg!(target_arch = "arm") {
    40 | 0x4000_0000
} else if cfg!(target_arch = "riscv64") {
    243 | 0xC000_0000
} else {
    0
};
/// Set in the numbers of x32 calls, a second table that x86-64 kernels may have
/// (`arch/x86/include/uapi/asm/unistd.h:13`); higher than any number elsewhere.
const X32: u32 = 0x4000_0000;
/// The type among what `socket()` takes with it, flags being the rest (`include/linux/net.h:75`, `SOCK_TYPE_MASK`).
const TYPE: u32 = 0xf;

/// Offsets into `struct seccomp_data` (`include/uapi/linux/seccomp.h:62`): the number, the architecture, and the lower
/// halves of the first arguments, which come first on all these architectures.
const NUMBER: u32 = 0;
const MACHINE: u32 = 4;
const FAMILY: u32 = 16;
const KIND: u32 = 24;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// `jt` and `jf` say how many instructions are passed over.
fn step(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

fn program() -> [libc::sock_filter; 17] {
    let refuse = |errno: i32| libc::SECCOMP_RET_ERRNO | errno as u32;
    [
        step(LOAD, MACHINE, 0, 0),
        step(EQUAL, ARCHITECTURE, 1, 0),
        step(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
        step(LOAD, NUMBER, 0, 0),
        step(AT_LEAST, X32, 0, 1),
        step(RETURN, refuse(libc::ENOSYS), 0, 0),
        step(EQUAL, libc::SYS_io_uring_setup as u32, 0, 1),
        step(RETURN, refuse(libc::ENOSYS), 0, 0),
        step(EQUAL, libc::SYS_socket as u32, 0, 7),
        step(LOAD, FAMILY, 0, 0),
        step(EQUAL, libc::AF_INET as u32, 1, 0),
        step(EQUAL, libc::AF_INET6 as u32, 0, 4),
        step(LOAD, KIND, 0, 0),
        step(AND, TYPE, 0, 0),
        step(EQUAL, libc::SOCK_DGRAM as u32, 1, 0),
        step(RETURN, refuse(libc::EACCES), 0, 0),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
    ]
}

/// From now on this thread, and all it starts, makes no Internet socket but UDP: `EACCES`.
///
/// # Errors
/// When the kernel has no seccomp filters. The worker then runs without; its unit still has its own.
pub fn enter() -> Result<()> {
    if ARCHITECTURE == 0 {
        return Err(Error::new(std::io::ErrorKind::Unsupported, "no filter for this architecture"));
    }
    let mut steps = program();
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: both calls take plain numbers and a pointer to a program that lives until they return.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
        {
            return Err(Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;

    /// A filter binds the thread it is set in, and this one ends with the test.
    fn jailed<T: Send>(act: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter().expect("this kernel has seccomp");
                act()
            });
            thread.join().expect("the filter kills nothing")
        })
    }

    #[test]
    fn tcp_is_refused_and_udp_and_local_sockets_are_not() {
        let server = TcpListener::bind("127.0.0.1:0").expect("outside the jail");
        let address = server.local_addr().expect("bound");
        jailed(|| {
            let refused = TcpStream::connect(address).expect_err("TCP");
            assert_eq!(refused.raw_os_error(), Some(libc::EACCES));
            assert!(TcpListener::bind("[::1]:0").is_err(), "IPv6 no more than IPv4");
            let socket = UdpSocket::bind("127.0.0.1:0").expect("UDP");
            socket.send_to(b"media", address).expect("a datagram");
            UnixStream::pair().expect("local sockets");
        });
        TcpStream::connect(address).expect("other threads are free");
    }

    #[test]
    fn neither_raw_sockets_nor_io_uring_lead_around_it() {
        jailed(|| {
            // SAFETY: plain system calls; what they would return is never used.
            let (raw, ring) = unsafe {
                let raw =
                    libc::socket(libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_ICMP);
                let raw = (raw, Error::last_os_error().raw_os_error());
                let ring = libc::syscall(libc::SYS_io_uring_setup, 1, std::ptr::null::<u8>());
                (raw, (ring, Error::last_os_error().raw_os_error()))
            };
            assert_eq!(raw, (-1, Some(libc::EACCES)));
            assert_eq!(ring, (-1, Some(libc::ENOSYS)));
        });
    }
}
