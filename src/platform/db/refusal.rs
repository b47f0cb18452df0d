//! What the program refuses to start on.

use sqlx::PgConnection;

use super::DbRole;

/// The oldest server without known leaks through row security (15.14 and its siblings).
const OLDEST_SERVER: i32 = 150_014;

#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("PostgreSQL {found} is too old: at least 15.14 is needed (or 16.10, 17.6, 18)")]
    OldServer { found: i32 },
    #[error("the database role {role} {fault}; run `huntzen migrate` with the owner's DATABASE_URL")]
    UnsafeRole { role: &'static str, fault: &'static str },
    #[error("cannot reach the database as {role}: {source}")]
    Unreachable { role: &'static str, source: sqlx::Error },
}

/// Whether a server is too old, by its `server_version_num`.
pub fn is_old(version: i32) -> bool {
    version < OLDEST_SERVER || (160_000..160_010).contains(&version) || (170_000..170_006).contains(&version)
}

/// Refuses a role that could see past row security: superuser, BYPASSRLS, owner of a table,
/// or member of any role (with a closed enum of log-in roles there is no need for membership);
/// and one that may use a table without row security.
pub async fn check(conn: &mut PgConnection, role: DbRole) -> Result<(), Refusal> {
    let name = role.name();
    let (version, superuser, bypass, can_create, owner, member, open): (i32, bool, bool, bool, bool, bool, bool) =
        sqlx::query_as(
            "SELECT current_setting('server_version_num')::int, r.rolsuper, r.rolbypassrls,
                r.rolcreaterole OR r.rolcreatedb OR r.rolreplication,
                EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid),
                EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid),
                EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                        WHERE n.nspname IN ('app', 'auth', 'stats') AND c.relkind IN ('r', 'p')
                          AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
                          AND (has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE')
                               OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE')))
         FROM pg_roles r WHERE r.rolname = current_user",
        )
        .fetch_one(conn)
        .await
        .map_err(|source| Refusal::Unreachable { role: name, source })?;

    if is_old(version) {
        return Err(Refusal::OldServer { found: version });
    }
    for (fault, is_so) in [
        ("is a superuser", superuser),
        ("bypasses row security", bypass),
        ("may create roles or databases, or replicate", can_create),
        ("owns a table", owner),
        ("is a member of another role", member),
        ("may use a table that is not under row security", open),
    ] {
        if is_so {
            return Err(Refusal::UnsafeRole { role: name, fault });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_old;

    #[test]
    fn servers_with_known_leaks_are_too_old() {
        for old in [140_020, 150_013, 160_009, 170_005] {
            assert!(is_old(old), "{old}");
        }
        for fine in [150_014, 150_018, 160_010, 170_006, 180_000] {
            assert!(!is_old(fine), "{fine}");
        }
    }
}
