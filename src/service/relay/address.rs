//! The addresses that answers carry as ICE candidates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// More candidates than this only slow the checks down.
const MOST: usize = 16;

/// The candidates of a relay that listens on `local`: the configured addresses, else the one it is bound to, else those of all interfaces.
pub(super) fn candidates(advertise: &[IpAddr], local: SocketAddr) -> Vec<SocketAddr> {
    let fits = |ip: &IpAddr| local.is_ipv6() || ip.is_ipv4();
    let mut addresses: Vec<IpAddr> = if !advertise.is_empty() {
        advertise.to_vec()
    } else if local.ip().is_unspecified() {
        interfaces()
    } else {
        vec![local.ip()]
    };
    addresses.retain(fits);
    // Loopback last: str0m ranks candidates in the order they are added.
    addresses.sort_by_key(IpAddr::is_loopback);
    let mut seen = vec![];
    for ip in addresses {
        let address = SocketAddr::new(ip.to_canonical(), local.port());
        if !seen.contains(&address) {
            seen.push(address);
        }
    }
    seen.truncate(MOST);
    seen
}

/// The addresses of all interfaces that are up, without IPv6 link-local ones (they need a scope that SDP cannot carry).
fn interfaces() -> Vec<IpAddr> {
    let mut found = vec![];
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: getifaddrs fills `list` with a linked list that is ours until freeifaddrs.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return vec![Ipv4Addr::LOCALHOST.into()];
    }
    let mut next = list;
    while !next.is_null() {
        // SAFETY: `next` is an element of the list, which is not freed yet.
        let entry = unsafe { &*next };
        next = entry.ifa_next;
        let up = entry.ifa_flags & libc::IFF_UP as libc::c_uint != 0;
        if !up || entry.ifa_addr.is_null() {
            continue;
        }
        // SAFETY: the kernel gave an address; its family says which structure it is.
        match i32::from(unsafe { (*entry.ifa_addr).sa_family }) {
            libc::AF_INET => {
                // SAFETY: AF_INET is sockaddr_in.
                let address = unsafe { &*entry.ifa_addr.cast::<libc::sockaddr_in>() };
                found.push(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into());
            }
            libc::AF_INET6 => {
                // SAFETY: AF_INET6 is sockaddr_in6.
                let address = unsafe { &*entry.ifa_addr.cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
                if !ip.is_unicast_link_local() {
                    found.push(ip.into());
                }
            }
            _ => {}
        }
    }
    // SAFETY: `list` came from getifaddrs and no element is used any more.
    unsafe { libc::freeifaddrs(list) };
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_means_where_the_relay_listens() {
        let bound: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        assert_eq!(candidates(&[], bound), [bound]);
        let public: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(candidates(&[public, public], bound), ["192.0.2.7:4000".parse().unwrap()]);
        let all = candidates(&[], "0.0.0.0:4000".parse().unwrap());
        assert!(all.contains(&bound) && all.iter().all(SocketAddr::is_ipv4), "{all:?}");
    }
}
