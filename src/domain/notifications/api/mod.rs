//! `/notifications`.

mod bodies;

use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{OpenApi, Tags};

pub use bodies::{NotificationAnswer, UnreadAnswer};
use bodies::{NotificationsAnswer, PreferencesBody, PreferencesRequest};

use super::service;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, PageQuery, Tagged};
use crate::platform::ids::NotificationId;

#[derive(Tags)]
enum Tag {
    /// What somebody is told in the program and by mail, and what they want to be told.
    Notifications,
}

pub struct NotificationsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Notifications")]
impl NotificationsApi {
    /// List one's own notifications
    ///
    /// The newest first, in the language of the request. They name nobody: what they are about is read under its own
    /// address. They are kept for half a year after they were read, a year at most. New ones come live by the namespace
    /// `/notifications` of Socket.IO.
    #[oai(path = "/notifications", method = "get", operation_id = "listNotifications")]
    async fn list(
        &self,
        cx: Authorized<perm::Notifications>,
        /// Only those that were not read.
        unread: Query<Option<bool>>,
        /// 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<NotificationsAnswer>> {
        let page: PageQuery<i64> = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let excerpt = service::list(&cx, page.after, unread.0.unwrap_or(false), page.fetch()).await?;
        Ok(Json(NotificationsAnswer::new(&page, excerpt)))
    }

    /// Mark a notification as read
    ///
    /// One’s other devices hear of it at once. Once more changes nothing.
    #[oai(path = "/notifications/:id/read", method = "post", operation_id = "readNotification")]
    async fn read(&self, cx: Authorized<perm::Notifications>, id: Path<NotificationId>) -> Result<Json<UnreadAnswer>> {
        Ok(Json(UnreadAnswer { unread_count: service::read(&cx, id.0).await? }))
    }

    /// Mark all notifications as read
    ///
    /// Everything that is in the list by then. Once more changes nothing.
    #[oai(path = "/notifications/read-all", method = "post", operation_id = "readAllNotifications")]
    async fn read_all(&self, cx: Authorized<perm::Notifications>) -> Result<Json<UnreadAnswer>> {
        Ok(Json(UnreadAnswer { unread_count: service::read_all(&cx).await? }))
    }

    /// Read one's notification preferences
    ///
    /// One entry for each kind that concerns the caller’s role, by both channels. Everything is on unless it was
    /// switched off; what `locked` says cannot be.
    #[oai(path = "/notifications/preferences", method = "get", operation_id = "getNotificationPreferences")]
    async fn preferences(
        &self,
        cx: Authorized<perm::Notifications>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<PreferencesBody>> {
        let it = service::find_preferences(&cx).await?;
        Ok(Tagged::new(PreferencesBody::from(&it), &it.etag, if_none_match.0.as_deref()))
    }

    /// Change one's notification preferences
    ///
    /// What is sent takes the place of what was there; kinds that are left out are on. It counts for everything that is
    /// told from then on, mails that wait to be sent included. Switching off what is `locked` is refused:
    /// `422 service_message`.
    #[oai(path = "/notifications/preferences", method = "put", operation_id = "setNotificationPreferences")]
    async fn set_preferences(
        &self,
        cx: Authorized<perm::Notifications>,
        /// The version that the change was made on.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<PreferencesRequest>,
    ) -> Result<Tagged<PreferencesBody>> {
        let wanted: Vec<_> = body.0.items.into_iter().map(Into::into).collect();
        let it = service::replace_preferences(&cx, &wanted, if_match.0.as_deref()).await?;
        Ok(Tagged::new(PreferencesBody::from(&it), &it.etag, None))
    }
}
