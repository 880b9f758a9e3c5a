//! An address with several hosts, as libpq takes them: `postgres://user:password@one:5432,two:5433/database?options`. The
//! driver takes one host at a time, so the list is split here. Pure.

/// Hosts of one address at most.
const HOSTS_MAX: usize = 16;

/// Why an address can't be used. Nothing of it is repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostsError {
    /// No address of `PostgreSQL`.
    #[error(
        "not an address such as postgres://user:password@host:5432/database, or @host1:5432,host2:5432/ for several"
    )]
    NoAddress,
    /// Two commas in a row, or one at an end.
    #[error("the list of hosts has nothing at place {0} of {1}")]
    Empty(usize, usize),
    /// A port that is none.
    #[error("the host at place {0} of {1} has a port that is no number from 1 to 65535")]
    Port(usize, usize),
    /// `[::1` and the like.
    #[error(
        "the host at place {0} of {1} is no host: an IPv6 address stands in brackets, such as [::1]:5432"
    )]
    Host(usize, usize),
    /// Twice the same.
    #[error("the hosts at places {0} and {1} are the same")]
    Twice(usize, usize),
    /// Too long a list.
    #[error("more than {HOSTS_MAX} hosts")]
    TooMany,
    /// `?host=a,b`.
    #[error(
        "the parameter `{0}` holds a list: several hosts stand between @ and /, such as @host1:5432,host2:5433/database"
    )]
    ListInParameter(&'static str),
    /// What is asked for is not what the address is for.
    #[error("target_session_attrs must be one of {0}, or be left out")]
    SessionAttributes(&'static str),
}

/// What servers of an address are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The one that takes writes.
    Primary,
    /// Any, standbys too.
    Any,
}

impl Wanted {
    /// What libpq's parameter may say.
    const fn session_attributes(self) -> &'static str {
        match self {
            Self::Primary => "read-write, primary",
            Self::Any => "any, read-only, standby, prefer-standby",
        }
    }
}

/// One address for each host of `url`, in order, with everything else the same.
///
/// # Errors
/// [`HostsError`].
pub fn split(url: &str, wanted: Wanted) -> Result<Vec<String>, HostsError> {
    let (scheme, rest) = url.trim().split_once("://").ok_or(HostsError::NoAddress)?;
    // The driver takes any scheme, and would then look for a server where none is meant to be.
    if !matches!(&*scheme.to_ascii_lowercase(), "postgres" | "postgresql") {
        return Err(HostsError::NoAddress);
    }
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (login, list) = match authority.rfind('@') {
        Some(at) => authority.split_at(at + 1),
        None => ("", authority),
    };
    let tail = parameters(tail, wanted)?;
    let hosts: Vec<&str> = list.split(',').collect();
    if hosts.len() > HOSTS_MAX {
        return Err(HostsError::TooMany);
    }
    if let [one] = hosts[..] {
        // It may be empty, and stand in a parameter, as a path to a socket does.
        return Ok(vec![format!("{scheme}://{login}{one}{tail}")]);
    }
    for (index, host) in hosts.iter().enumerate() {
        check(host, index + 1, hosts.len())?;
        let earlier = hosts[..index].iter().position(|other| same(other, host));
        if let Some(earlier) = earlier {
            return Err(HostsError::Twice(earlier + 1, index + 1));
        }
    }
    Ok(hosts.iter().map(|host| format!("{scheme}://{login}{host}{tail}")).collect())
}

/// Name and port; `None` where the port is the default.
fn parts(host: &str) -> (&str, Option<&str>) {
    // The colons of an IPv6 address stand in brackets.
    let name_ends = host.rfind(']').map_or(0, |bracket| bracket + 1);
    match host[name_ends..].find(':') {
        Some(colon) => (&host[..name_ends + colon], Some(&host[name_ends + colon + 1..])),
        None => (host, None),
    }
}

fn same(one: &str, other: &str) -> bool {
    let ((one, one_port), (other, other_port)) = (parts(one), parts(other));
    one.eq_ignore_ascii_case(other) && one_port.unwrap_or("5432") == other_port.unwrap_or("5432")
}

fn check(host: &str, place: usize, count: usize) -> Result<(), HostsError> {
    let (name, port) = parts(host);
    if name.is_empty() {
        return Err(HostsError::Empty(place, count));
    }
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    if bracketed.is_none() && name.contains(['[', ']', ':', '@']) || name.contains(char::is_whitespace) {
        return Err(HostsError::Host(place, count));
    }
    let Some(port) = port else { return Ok(()) };
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(1..) if is_number => Ok(()),
        _ => Err(HostsError::Port(place, count)),
    }
}

/// The path and the parameters, without those that the driver does not know and that are done here.
fn parameters(tail: &str, wanted: Wanted) -> Result<String, HostsError> {
    let Some((path, query)) = tail.split_once('?') else { return Ok(tail.to_owned()) };
    let mut kept = Vec::new();
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let is_list = value.contains(',') || value.to_ascii_lowercase().contains("%2c");
        match name {
            "host" if is_list => return Err(HostsError::ListInParameter("host")),
            "hostaddr" if is_list => return Err(HostsError::ListInParameter("hostaddr")),
            "port" if is_list => return Err(HostsError::ListInParameter("port")),
            "target_session_attrs" => {
                let allowed = wanted.session_attributes();
                if !allowed.split(", ").any(|allowed| allowed == value) {
                    return Err(HostsError::SessionAttributes(allowed));
                }
            }
            _ => kept.push(parameter),
        }
    }
    let query = kept.join("&");
    Ok(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary(url: &str) -> Result<Vec<String>, HostsError> {
        split(url, Wanted::Primary)
    }

    #[test]
    fn one_host_stays_as_it_is() {
        for url in [
            "postgres://u:p@h:5432/db",
            "postgresql://h/db?sslmode=require",
            "postgres://u@/db?host=/var/run/postgresql",
            "postgres://u:a,b@h/db",
            "postgres://[::1]:5432/db",
            "postgres://",
        ] {
            assert_eq!(primary(url), Ok(vec![url.to_owned()]));
        }
    }

    #[test]
    fn each_host_has_everything_else() {
        assert_eq!(
            primary(
                "postgres://u:p%40,x@h1:5432,h2:5433,[::1]:5434,h4/db?sslmode=verify-full&sslrootcert=/ca,1.pem"
            ),
            Ok(["h1:5432", "h2:5433", "[::1]:5434", "h4"]
                .map(|host| {
                    format!("postgres://u:p%40,x@{host}/db?sslmode=verify-full&sslrootcert=/ca,1.pem")
                })
                .to_vec())
        );
        assert_eq!(primary("postgres://a,b"), Ok(vec!["postgres://a".to_owned(), "postgres://b".to_owned()]));
        assert_eq!(primary("postgres://a:1,a:2/d").map(|urls| urls.len()), Ok(2));
    }

    #[test]
    fn what_a_list_can_not_be_is_named_by_its_place() {
        for (list, error) in [
            ("h1,,h3", HostsError::Empty(2, 3)),
            ("h1,", HostsError::Empty(2, 2)),
            (",h2", HostsError::Empty(1, 2)),
            ("h1,:5432", HostsError::Empty(2, 2)),
            ("h1:0,h2", HostsError::Port(1, 2)),
            ("h1,h2:65536", HostsError::Port(2, 2)),
            ("h1,h2:", HostsError::Port(2, 2)),
            ("h1,h2:+5", HostsError::Port(2, 2)),
            ("h1,::1", HostsError::Empty(2, 2)),
            ("h1,fe80::1", HostsError::Port(2, 2)),
            ("h1,[::1", HostsError::Host(2, 2)),
            ("h1, h2", HostsError::Host(2, 2)),
            ("h1,H1:5432", HostsError::Twice(1, 2)),
        ] {
            assert_eq!(primary(&format!("postgres://u:secret@{list}/db")), Err(error), "{list}");
        }
        let many = vec!["h"; HOSTS_MAX + 1].join(",");
        assert_eq!(primary(&format!("postgres://{many}/db")), Err(HostsError::TooMany));
    }

    #[test]
    fn other_addresses_are_none() {
        for url in ["", "h1,h2", "mysql://h1,h2/db", "postgres:/h1,h2"] {
            assert_eq!(primary(url), Err(HostsError::NoAddress), "{url}");
        }
    }

    #[test]
    fn a_list_in_a_parameter_is_named() {
        for name in ["host", "port", "hostaddr"] {
            for comma in [",", "%2C", "%2c"] {
                let url = format!("postgres:///db?{name}=1{comma}2");
                assert_eq!(primary(&url), Err(HostsError::ListInParameter(name)));
            }
        }
    }

    #[test]
    fn session_attributes_are_ours_to_see_to() {
        let url = |value| format!("postgres://h/db?a=b&target_session_attrs={value}");
        for (wanted, right, wrong) in
            [(Wanted::Primary, "read-write", "standby"), (Wanted::Any, "prefer-standby", "read-write")]
        {
            assert_eq!(split(&url(right), wanted), Ok(vec!["postgres://h/db?a=b".to_owned()]));
            assert_eq!(
                split(&url(wrong), wanted),
                Err(HostsError::SessionAttributes(wanted.session_attributes()))
            );
        }
        assert_eq!(
            primary("postgres://h/db?target_session_attrs=primary"),
            Ok(vec!["postgres://h/db".to_owned()])
        );
    }
}
