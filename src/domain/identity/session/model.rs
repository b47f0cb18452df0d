//! What a person sees of a session. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

/// An address without its last part. A person recognises their network by it; a thief of the session learns no
/// address of theirs.
pub fn network_of(address: &str) -> Option<String> {
    let address: IpAddr = address.parse().ok()?;
    let length = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, length).ok().map(|network| network.trunc().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_last_part() {
        assert_eq!(network_of("203.0.113.77").as_deref(), Some("203.0.113.0/24"));
        assert_eq!(network_of("2001:db8:1:2:3:4:5:6").as_deref(), Some("2001:db8:1::/48"));
        assert_eq!(network_of("unknown"), None);
    }
}
