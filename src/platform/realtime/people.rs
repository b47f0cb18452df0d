//! Who has sockets on this node, and how many: a person has some twenty pages open, and not all that there is room for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::platform::ids::UserId;

/// Of one person, in all namespaces: a page has one in each of three, and those of a lost connection are there for twenty
/// seconds more, while it comes back.
const MOST_SOCKETS: usize = 128;

#[derive(Default)]
pub(super) struct People {
    sockets: Mutex<HashMap<UserId, usize>>,
}

/// One socket of somebody's, as long as it is held.
pub(super) struct Present {
    people: Arc<People>,
    pub user: UserId,
}

impl People {
    /// `None`: they have as many as one may have.
    pub fn enter(self: &Arc<Self>, user: UserId) -> Option<Present> {
        let mut all = self.all();
        let sockets = all.entry(user).or_default();
        if *sockets >= MOST_SOCKETS {
            return None;
        }
        *sockets += 1;
        drop(all);
        Some(Present { people: self.clone(), user })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut all = self.people.all();
        if let Some(sockets) = all.get_mut(&self.user) {
            *sockets -= 1;
            if *sockets == 0 {
                all.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn somebody_has_so_many_and_others_theirs_and_nothing_is_kept_of_those_who_left() {
        let people = Arc::new(People::default());
        let [alice, bob] = [1, 2].map(|it| UserId(Uuid::from_u128(it)));
        let mut held: Vec<_> = (0..MOST_SOCKETS).map(|_| people.enter(alice).unwrap()).collect();
        assert!(people.enter(alice).is_none());
        let his = people.enter(bob).unwrap();
        held.pop();
        held.push(people.enter(alice).unwrap());
        assert!(people.enter(alice).is_none());
        drop((held, his));
        assert!(people.all().is_empty());
    }
}
