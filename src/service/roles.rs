//! Who may do what: user patterns in the configuration give roles. No roles: no limits.

use serde::Deserialize;

use super::rooms::Room;

/// What a role lets its users do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Makes, enters and sees its own rooms.
    Kiosk,
    /// Sees its rooms, and enters one in which a kiosk is.
    Clerk,
}

/// One `[[roles]]` table of roomservice.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// For the log and for error texts.
    pub name: String,
    /// Which users have it.
    pub users: Pattern,
    /// What they may do.
    pub role: Part,
    /// In which rooms; `{}` stands for what `*` of `users` matched.
    pub rooms: Vec<Pattern>,
}

/// A name with at most one `*`, which stands for one or more characters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    head: String,
    tail: Option<String>,
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Some((head, tail)) = text.split_once('*') else { return Ok(Self { head: text, tail: None }) };
        if tail.contains('*') {
            return Err(format!("{text:?} has more than one `*`"));
        }
        Ok(Self { head: head.to_owned(), tail: Some(tail.to_owned()) })
    }
}

impl Pattern {
    /// What `*` stands for, if the name fits; empty for a pattern without `*`.
    fn capture<'a>(&self, name: &'a str) -> Option<&'a str> {
        let Some(tail) = &self.tail else { return (name == self.head).then_some("") };
        let middle = name.strip_prefix(self.head.as_str())?.strip_suffix(tail.as_str())?;
        (!middle.is_empty()).then_some(middle)
    }

    /// With `{}` replaced. What is put in is literal: a user who calls itself `kiosk-*` gains nothing.
    fn fits(&self, name: &str, captured: &str) -> bool {
        let put = |part: &str| part.replace("{}", captured);
        Self { head: put(&self.head), tail: self.tail.as_deref().map(put) }.capture(name).is_some()
    }

    fn wants_capture(&self) -> bool {
        self.head.contains("{}") || self.tail.as_deref().is_some_and(|tail| tail.contains("{}"))
    }
}

/// All roles.
#[derive(Clone, Debug, Default)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// Checks that the roles make sense together.
    pub fn new(roles: Vec<Role>) -> Result<Self, String> {
        for role in &roles {
            if role.users.tail.is_none() && role.rooms.iter().any(Pattern::wants_capture) {
                return Err(format!(
                    "role {:?}: rooms use `{{}}`, but users has no `*` for it to stand for",
                    role.name
                ));
            }
            if role.rooms.is_empty() {
                return Err(format!("role {:?}: rooms is empty, so the role allows nothing", role.name));
            }
        }
        Ok(Self(roles))
    }

    fn has(&self, user: &str, room: &str, part: Part) -> bool {
        self.0.iter().filter(|role| role.role == part).any(|role| {
            role.users.capture(user).is_some_and(|captured| role.rooms.iter().any(|r| r.fits(room, captured)))
        })
    }

    /// Whether the user may see the room and who is in it.
    #[must_use]
    pub fn may_see(&self, user: &str, room: &str) -> bool {
        self.0.is_empty() || self.has(user, room, Part::Kiosk) || self.has(user, room, Part::Clerk)
    }

    /// Whether the user may make the room.
    #[must_use]
    pub fn may_make(&self, user: &str, room: &str) -> bool {
        self.0.is_empty() || self.has(user, room, Part::Kiosk)
    }

    /// Whether the user may enter the room as it is now.
    #[must_use]
    pub fn may_enter(&self, user: &str, id: &str, room: Option<&Room>) -> bool {
        if self.may_make(user, id) {
            return true;
        }
        let kiosk_is_in =
            || room.is_some_and(|room| room.members().iter().any(|m| self.has(m.user(), id, Part::Kiosk)));
        self.has(user, id, Part::Clerk)
            && (room.is_some_and(|room| room.member(user).is_some()) || kiosk_is_in())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn roles(text: &str) -> Result<Roles, String> {
        #[derive(Deserialize)]
        struct File {
            roles: Vec<Role>,
        }
        Roles::new(toml::from_str::<File>(text).map_err(|e| e.message().to_owned())?.roles)
    }

    const BRANCHES: &str = r#"
        [[roles]]
        name = "kiosks"
        users = "kiosk-*"
        role = "kiosk"
        rooms = ["branch-{}"]
        [[roles]]
        name = "north"
        users = "clerk-north-*"
        role = "clerk"
        rooms = ["branch-n*"]
    "#;

    #[test]
    fn a_kiosk_has_only_its_own_room() {
        let roles = roles(BRANCHES).unwrap();
        for (user, room, may) in [
            ("kiosk-n7", "branch-n7", true),
            ("kiosk-n7", "branch-n8", false),
            ("kiosk-n7", "branch-n77", false),
            ("kiosk-", "branch-", false),
            ("kiosk-*", "branch-n7", false),
            ("kiosk-{}", "branch-n7", false),
            ("xkiosk-n7", "branch-n7", false),
            ("clerk-north-1", "branch-n7", false),
        ] {
            assert_eq!(roles.may_make(user, room), may, "{user} {room}");
            assert_eq!(roles.may_enter(user, room, None), may, "{user} {room}");
        }
    }

    #[test]
    fn a_clerk_sees_the_rooms_of_its_group() {
        let roles = roles(BRANCHES).unwrap();
        assert!(roles.may_see("clerk-north-1", "branch-n7"));
        assert!(!roles.may_see("clerk-north-1", "branch-s7"));
        assert!(!roles.may_see("clerk-south-1", "branch-n7"));
        assert!(!roles.may_see("stranger", "branch-n7"));
        assert!(Roles::default().may_see("stranger", "branch-n7"));
    }

    #[test]
    fn roles_that_cannot_work_are_refused() {
        let twice = BRANCHES.replace("kiosk-*", "*kiosk-*");
        assert!(roles(&twice).unwrap_err().contains("more than one `*`"));
        let nothing = BRANCHES.replace("kiosk-*", "kiosk-7");
        assert!(roles(&nothing).unwrap_err().contains("no `*`"));
    }
}
