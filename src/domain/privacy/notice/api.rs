//! `/privacy/notice`.

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use super::model::{DATA, Duration, RIGHTS, words};
use super::service;
use crate::domain::identity::model::PRIVACY_NOTICE_VERSION;
use crate::domain::privacy::Tag;
use crate::platform::auth::Anonymous;
use crate::platform::locale::Locale;
use crate::platform::{Platform, Result};

/// A kind of data.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct NoticeData {
    /// A word of the program, such as `messages`.
    kind: String,
    name: String,
    /// What is kept.
    what: String,
    /// For what.
    why: String,
    /// On what ground of the law.
    ground: String,
    /// Who reads it.
    recipients: String,
    /// Until when, in words.
    kept: String,
    /// Which of `durations` say it in numbers.
    records: Vec<String>,
}

/// How long records of a kind are kept: what the jobs go by that remove them.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct NoticeDuration {
    record: String,
    /// Of which profession; absent: of any for which nothing else is said.
    profession: Option<String>,
    years: Option<i32>,
    days: Option<i32>,
    minutes: Option<i32>,
    /// From when on: `change`, `creation`, `end`, `reading`, `expiry`, `closing`, `erasure`, `use`; `year_end`, the end of the
    /// year in which it ended.
    since: String,
    /// In words.
    words: String,
    /// Which text asks for it, as the platform reads it.
    ground: String,
}

/// Who answers.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct NoticeContact {
    /// Who is responsible for the processing.
    controller: String,
    /// Where to write about one’s data.
    contact: String,
    /// The data protection officer, where there is one.
    officer: Option<String>,
    /// Where to complain.
    authority: String,
}

/// A right over one's data, and how to use it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct NoticeRight {
    right: String,
    text: String,
}

/// The privacy notice in force.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct NoticeAnswer {
    version: String,
    /// `fr` or `en`, as the request asks for it.
    locale: Locale,
    title: String,
    introduction: String,
    contact: NoticeContact,
    data: Vec<NoticeData>,
    durations: Vec<NoticeDuration>,
    rights: Vec<NoticeRight>,
    /// What the employer learns, and what not.
    employer: String,
    /// How it is protected.
    protection: String,
}

impl NoticeAnswer {
    fn new(controller: &str, contact: &str, officer: Option<&str>, durations: Vec<Duration>, locale: Locale) -> Self {
        let data = DATA.into_iter().map(|(kind, records)| {
            let part = |part: &str| words(&format!("data.{kind}.{part}"), locale);
            NoticeData {
                kind: kind.to_owned(),
                name: part("name"),
                what: part("what"),
                why: part("why"),
                ground: part("ground"),
                recipients: part("recipients"),
                kept: part("kept"),
                records: records.iter().map(|it| (*it).to_owned()).collect(),
            }
        });
        let durations = durations.into_iter().map(|it| NoticeDuration {
            words: it.words(locale).into_owned(),
            profession: Some(it.profession).filter(|it| it != "any"),
            record: it.record,
            years: it.years,
            days: it.days,
            minutes: it.minutes,
            since: it.since,
            ground: it.ground,
        });
        let rights = RIGHTS
            .into_iter()
            .map(|right| NoticeRight { right: right.to_owned(), text: words(&format!("right.{right}"), locale) });
        Self {
            version: PRIVACY_NOTICE_VERSION.to_owned(),
            locale,
            title: words("notice.title", locale),
            introduction: words("notice.introduction", locale),
            contact: NoticeContact {
                controller: controller.to_owned(),
                contact: contact.to_owned(),
                officer: officer.map(ToOwned::to_owned),
                authority: words("notice.authority", locale),
            },
            data: data.collect(),
            durations: durations.collect(),
            rights: rights.collect(),
            employer: words("notice.employer", locale),
            protection: words("notice.protection", locale),
        }
    }

    fn of(platform: &Platform, durations: Vec<Duration>, locale: Locale) -> Self {
        let config = &platform.config;
        let contact = config.privacy_contact.as_deref().unwrap_or(&config.mail_from);
        let officer = config.privacy_officer.as_deref();
        Self::new(&config.privacy_controller, contact, officer, durations, locale)
    }
}

impl Example for NoticeAnswer {
    fn example() -> Self {
        let duration = Duration {
            record: "clinical_note".into(),
            profession: "any".into(),
            years: Some(20),
            days: None,
            minutes: None,
            since: "change".into(),
            ground: "Code de la santé publique, R. 1112-7".into(),
        };
        Self::new("HuntZen Care", "privacy@care.example.org", None, vec![duration], Locale::En)
    }
}

pub struct NoticeApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Privacy")]
impl NoticeApi {
    /// The privacy notice
    ///
    /// What is kept of people, for what, on what ground, who reads it and for how long, in French or English as
    /// `Accept-Language` asks. The durations are those that the program goes by. For everybody, signed in or not.
    #[oai(path = "/privacy/notice", method = "get", operation_id = "getPrivacyNotice")]
    async fn notice(&self, it: Anonymous) -> Result<Json<NoticeAnswer>> {
        let durations = service::durations(&it.platform).await?;
        Ok(Json(NoticeAnswer::of(&it.platform, durations, it.request.locale)))
    }
}
