//! Two nodes that hear each other, or do not.

use super::*;

const ALICE: UserId = UserId(Uuid::from_u128(1));
const DR: UserId = UserId(Uuid::from_u128(2));
const TALK: ConsultationId = ConsultationId(Uuid::from_u128(3));

/// Two nodes, and what each says until it is heard.
struct Nodes {
    hubs: [Arc<Hub>; 2],
    said: Arc<Mutex<Vec<String>>>,
    now: Instant,
}

impl Nodes {
    fn start() -> Self {
        let said = Arc::<Mutex<Vec<String>>>::default();
        let hub = |node| {
            let said = said.clone();
            Arc::new(Hub::telling(Uuid::from_u128(node), move |about| lock(&said).push(about)))
        };
        Self { hubs: [hub(11), hub(12)], said, now: Instant::now() }
    }

    /// Both hear what was said, and what they answer.
    fn hear(&self) {
        loop {
            let said = std::mem::take(&mut *lock(&self.said));
            if said.is_empty() {
                return;
            }
            for about in said {
                self.hubs.iter().for_each(|hub| hub.heard(&about, self.now));
            }
        }
    }

    fn lose(&self) {
        lock(&self.said).clear();
    }

    /// Alice on the first node, the practitioner on the second one.
    fn joined(&self) -> [Arc<Place>; 2] {
        let places = [ALICE, DR].map(|user| Arc::new(Place::new(user, Arc::default())));
        for (hub, place) in self.hubs.iter().zip(&places) {
            hub.join(TALK, [ALICE, DR], place);
        }
        self.hear();
        places
    }
}

fn shown(place: &Place) -> Vec<Live> {
    std::iter::from_fn(|| place.take_live()).collect()
}

const fn online(user: UserId, is_online: bool) -> Live {
    Live::Presence { conversation: TALK, user, is_online }
}

const fn types(user: UserId, is_typing: bool) -> Live {
    Live::Typing { conversation: TALK, user, is_typing }
}

#[test]
fn whoever_left_while_nobody_heard_it_is_shown_to_have_left_and_who_is_there_stays() {
    let mut nodes = Nodes::start();
    let [alice, dr] = nodes.joined();
    assert_eq!((shown(&alice), shown(&dr)), (vec![online(DR, true)], vec![online(ALICE, true)]));
    // neither hears anything; she comes back on another device, which is heard of as little
    nodes.hubs[0].leave(TALK, &alice);
    nodes.lose();
    nodes.hubs[1].missed(nodes.now);
    nodes.hear();
    assert!(shown(&dr).is_empty());
    nodes.now += CONFIRMED_WITHIN;
    nodes.hubs[1].say_alive(nodes.now);
    assert_eq!(shown(&dr), [online(ALICE, false)]);
    // who is there is confirmed
    nodes.hubs[0].join(TALK, [ALICE, DR], &alice);
    nodes.hear();
    assert_eq!((shown(&alice), shown(&dr)), (vec![online(DR, true)], vec![online(ALICE, true)]));
    nodes.hubs.iter().for_each(|hub| hub.missed(nodes.now));
    nodes.hear();
    nodes.now += CONFIRMED_WITHIN;
    nodes.hubs.iter().for_each(|hub| hub.say_alive(nodes.now));
    nodes.hear();
    assert_eq!((shown(&alice), shown(&dr)), (vec![], vec![]));
}

#[test]
fn whoever_was_on_this_node_and_left_unheard_is_known_to_have_left() {
    let nodes = Nodes::start();
    let [alice, dr] = [ALICE, DR].map(|user| Arc::new(Place::new(user, Arc::default())));
    for place in [&alice, &dr] {
        nodes.hubs[0].join(TALK, [ALICE, DR], place);
    }
    nodes.hear();
    assert_eq!(shown(&dr), [online(ALICE, true)]);
    nodes.hubs[0].leave(TALK, &alice);
    nodes.lose();
    nodes.hubs[0].missed(nodes.now);
    assert_eq!(shown(&dr), [online(ALICE, false)]);
}

#[test]
fn a_node_that_is_silent_takes_its_people_along() {
    let mut nodes = Nodes::start();
    let [_, dr] = nodes.joined();
    nodes.hubs[0].say_typing(TALK, ALICE, true);
    nodes.hear();
    assert_eq!(shown(&dr), [online(ALICE, true), types(ALICE, true)]);
    nodes.now += SILENT;
    nodes.hubs[1].say_alive(nodes.now);
    nodes.hear();
    assert_eq!(shown(&dr), [types(ALICE, false)]);
    nodes.now += Duration::from_millis(1);
    nodes.hubs[1].say_alive(nodes.now);
    assert_eq!(shown(&dr), [online(ALICE, false)]);
}

#[test]
fn whoever_does_not_say_again_that_they_write_writes_no_more() {
    let mut nodes = Nodes::start();
    let [_, dr] = nodes.joined();
    nodes.hubs[0].say_typing(TALK, ALICE, true);
    nodes.hear();
    nodes.now += WRITES_FOR / 2;
    nodes.hubs[0].say_typing(TALK, ALICE, true);
    nodes.hear();
    nodes.now += WRITES_FOR / 2;
    nodes.hubs.iter().for_each(|hub| hub.say_alive(nodes.now));
    nodes.hear();
    assert_eq!(shown(&dr), [online(ALICE, true), types(ALICE, true), types(ALICE, true)]);
    nodes.now += WRITES_FOR / 2;
    nodes.hubs.iter().for_each(|hub| hub.say_alive(nodes.now));
    assert_eq!(shown(&dr), [types(ALICE, false)]);
}

#[test]
fn whoever_leaves_writes_no_more_and_is_shown_so_once() {
    let nodes = Nodes::start();
    let [alice, dr] = nodes.joined();
    nodes.hubs[0].say_typing(TALK, ALICE, true);
    nodes.hubs[0].leave(TALK, &alice);
    nodes.hear();
    assert_eq!(shown(&dr), [online(ALICE, true), types(ALICE, true), types(ALICE, false), online(ALICE, false)]);
    nodes.hubs[0].join(TALK, [ALICE, DR], &alice);
    nodes.hubs[0].leave(TALK, &alice);
    nodes.hear();
    assert_eq!(shown(&dr), [online(ALICE, true), online(ALICE, false)]);
}

#[test]
fn what_was_handed_over_is_not_read_and_what_was_passed_over_is_when_it_is_heard_of() {
    let hub = Hub::telling(Uuid::from_u128(11), |_| {});
    let place = Arc::new(Place::new(ALICE, Arc::default()));
    hub.join(TALK, [ALICE, DR], &place);
    let hand = |rev| {
        hub.hand(TALK, &Change::Receipt(Receipt { reader_id: DR, delivered_seq: 1, read_seq: 1, rev }));
    };
    let heard = |rev: i64| {
        hub.changed(&format!("{} {rev}", TALK.0));
        place.take_changed().into_values().collect::<Vec<_>>()
    };
    hub.reached(TALK.0, 4);
    place.take_changed();
    hand(6);
    assert_eq!((heard(5), heard(5), heard(6)), (vec![5], vec![], vec![]));
    hand(8);
    hand(7);
    assert_eq!((heard(7), heard(8), heard(9)), (vec![], vec![], vec![9]));
    hand(1_000);
    assert_eq!((heard(967), heard(968)), (vec![], vec![968]));
}

#[test]
fn whoever_comes_and_goes_on_many_devices_at_once_is_said_to_come_and_go_in_turn() {
    let (alice, dr) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
    let talk = ConsultationId(Uuid::from_u128(3));
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = said.clone();
    let hub = Hub::telling(Uuid::from_u128(4), move |about| {
        let word: Word = serde_json::from_str(&about).unwrap();
        // whoever says it has time to be overtaken
        std::thread::yield_now();
        lock(&heard).push(word.kind);
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let place = Arc::new(Place::new(alice, Arc::default()));
                for _ in 0..500 {
                    hub.join(talk, [alice, dr], &place);
                    hub.leave(talk, &place);
                }
            });
        }
    });
    let said = lock(&said);
    let in_turn = said.chunks(2).all(|pair| pair == [Kind::Came, Kind::Left]);
    assert!(said.len() >= 2 && in_turn, "{:?}", said.iter().take(20).collect::<Vec<_>>());
}
