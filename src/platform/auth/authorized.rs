//! Extractors: the type in a handler's signature is the permission that it needs.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::permission::Grant;
use super::{Caller, Role};
use crate::platform::problem::{Error, Problem, Result};
use crate::platform::{Context, Platform, RequestInfo, maintenance};

/// A signed-in caller who holds the permission `P`. Put it first among a handler's arguments,
/// so that a refusal comes before the body is read.
pub struct Authorized<P> {
    context: Context,
    grant: PhantomData<fn() -> P>,
}

impl<P> Deref for Authorized<P> {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

/// A request that needs nobody signed in.
pub struct Anonymous {
    pub platform: Arc<Platform>,
    pub request: RequestInfo,
}

fn platform(request: &Request) -> Result<Arc<Platform>> {
    request.data::<Arc<Platform>>().cloned().ok_or_else(|| Problem::internal("the platform is not in the request"))
}

fn info(request: &Request) -> RequestInfo {
    request.extensions().get::<RequestInfo>().cloned().unwrap_or_default()
}

/// Changes wait for the end of maintenance.
async fn refuse_change(platform: &Platform, request: &Request) -> Result<()> {
    if maintenance::is_change(request.method(), request.original_uri().path()) {
        platform.maintenance.refuse(platform).await?;
    }
    Ok(())
}

/// The access token of `Authorization: Bearer` (RFC 6750).
fn bearer(request: &Request) -> Option<&str> {
    let value = request.header("authorization")?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn authenticate(platform: &Platform, request: &Request) -> Result<Caller> {
    let token = bearer(request).ok_or(Error::Unauthenticated)?;
    let caller = platform.tokens.verify_access(token, platform.clock.now())?;
    platform.limits.check_user(caller.user_id)?;
    if platform.sessions.is_revoked(caller.session_id, platform).await? {
        return Err(Error::Unauthenticated.into());
    }
    Ok(caller)
}

impl<'a, P: Grant> ApiExtractor<'a> for Authorized<P> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            P::SCHEME,
            MetaSecurityScheme {
                ty: "http",
                description: Some("The access token of `POST /auth/login`."),
                name: None,
                key_in: None,
                scheme: Some("bearer"),
                bearer_format: Some("JWT"),
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![P::SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let platform = platform(request)?;
        let caller = authenticate(&platform, request).await?;
        let info = info(request);
        info.note_caller(caller.user_id);
        P::PERMISSION.check(&caller)?;
        if caller.role != Role::PlatformAdmin {
            refuse_change(&platform, request).await?;
        }
        Ok(Self { context: Context::new(platform, caller, info), grant: PhantomData })
    }
}

impl<'a> ApiExtractor<'a> for Anonymous {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::PoemExtractor];

    type ParamType = ();
    type ParamRawType = ();

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let platform = platform(request)?;
        refuse_change(&platform, request).await?;
        Ok(Self { platform, request: info(request) })
    }
}

impl Caller {
    pub fn is(&self, role: Role) -> bool {
        self.role == role
    }
}
