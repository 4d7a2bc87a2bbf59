// Exit codes by which a worker tells the primary that forking it again would not help.

/** The port is taken or forbidden. */
export const EXIT_CANNOT_LISTEN = 78;
/** Redis may evict, which REDIS_REQUIRE_NOEVICTION forbids. */
export const EXIT_EVICTING_REDIS = 79;
/** A plugin cannot be loaded. */
export const EXIT_BAD_PLUGIN = 80;
