-- Settle a batch: one statement, one commit. Subjects are locked first, and no lock is waited for.
-- $1..$18 are arrays, one element an entry (an entry without a step is a failure), and so are $30,
-- $37 and $39; then the budget and the topics; then the callers that the entries speak of, as this
-- process knows them; then how far a clock may be off, and what waits after a promotion; then their
-- policies; $38 failures in a row come before waiting.
WITH entry AS (
    SELECT *, e.tenant_id || '/' || e.subject_ref AS key,
        -- By the clock of PostgreSQL, which is the same for all nodes.
        e.now BETWEEN statement_timestamp() - $31::interval
            AND statement_timestamp() + $32::interval AS timely
    FROM unnest($1::int[], $2::uuid[], $3::uuid[], $4::bytea[], $5::timestamptz[], $6::float8[],
        $7::bool[], $8::uuid[], $9::text[], $10::text[], $11::text[], $12::uuid[],
        $13::uuid[], $14::int[], $15::bigint[], $16::int[], $17::bytea[], $18::bytea[], $30::bool[],
        $37::bool[], $39::bigint[])
    AS e (n, tenant_id, subject_ref, lookup, now, weight,
        charged, event_id, type, body, lock_body, lock_event_id,
        authenticator_id, epoch, step, caller, idempotency_key, request, pair, recovery,
        copy_version)
), promoted AS MATERIALIZED (
    -- A promoted standby, or a backup that runs again, settles nothing before that is noted.
    SELECT timeline = current_timeline() AS known, fences,
        extract(epoch FROM fenced_at + $33::interval)::float8 AS shown_until,
        fenced_at + $34::interval AS recovery_codes_wait_until
    -- By its key, or the planner would expect many.
    FROM promotion WHERE only_row
), caller AS MATERIALIZED (
    -- Only a caller whose application and policy are still what this process knows may have a code
    -- accepted; the application is locked, so that a revocation comes before this statement or after
    -- its commit. One whose row somebody else has locked is left out, like the subjects below: nobody
    -- waits for the lock of another.
    SELECT c.n, c.application_id
    FROM unnest($24::int[], $25::uuid[], $26::uuid[], $27::text[], $28::bigint[], $36::bigint[])
        AS c (n, tenant_id, application_id, key, version, policy_version)
    JOIN replica r ON r.tenant_id = c.tenant_id AND r.topic = $23 AND r.key = c.key
        AND r.version = c.version AND NOT r.deleted
    JOIN replica p ON p.tenant_id = c.tenant_id AND p.topic = $35 AND p.key = c.key
        AND p.version = c.policy_version AND NOT p.deleted
    ORDER BY r.tenant_id, r.key FOR SHARE OF r SKIP LOCKED
), held AS MATERIALIZED (
    -- The subjects' rows, locked, with the bucket of the guess's family as it stands now. What comes
    -- after takes all it needs from here: to join the entries again costs their square.
    SELECT e.*, c.application_id, s.cache_version, s.lookup = e.lookup AS named,
        CASE WHEN e.recovery THEN s.recovery_consecutive ELSE s.consecutive END AS run,
        CASE WHEN e.recovery THEN s.recovery_failed_at ELSE s.failed_at END AS failed_at,
        greatest(0, CASE WHEN e.recovery THEN s.recovery_spent ELSE s.spent END
            - $20 * greatest(0, extract(epoch FROM e.now - CASE WHEN e.recovery
                THEN s.recovery_spent_at ELSE s.spent_at END))) AS level
    FROM subject s JOIN entry e ON s.tenant_id = e.tenant_id AND s.id = e.subject_ref
        LEFT JOIN caller c ON c.n = e.caller
    WHERE e.timely AND (SELECT known FROM promoted)
    ORDER BY s.tenant_id, s.id FOR UPDATE OF s SKIP LOCKED
), took AS (
    -- The compare-and-set: a code that is not newer, a lock, a full bucket, another name, another
    -- key of the application, a person who has changed since the copy was read, or an
    -- Idempotency-Key that was used change no row. A step is the time
    -- step of TOTP and the counter of HOTP; of recovery codes it is the place in the set, a bit of
    -- `used`; a PIN is not spent.
    UPDATE authenticator a SET
        last_step = CASE WHEN a.factor IN ('recovery_code', 'pin') THEN a.last_step ELSE h.step END,
        used = CASE a.factor WHEN 'recovery_code' THEN a.used | (1::bigint << h.step::int)
            ELSE a.used END,
        fences = p.fences
    FROM promoted p, held h
    WHERE a.tenant_id = h.tenant_id AND a.id = h.authenticator_id
        AND a.subject_ref = h.subject_ref AND a.status = 'active' AND a.epoch = h.epoch
        AND CASE a.factor WHEN 'pin' THEN true
            WHEN 'recovery_code' THEN a.used & (1::bigint << h.step::int) = 0
            ELSE a.last_step < h.step END
        -- As domain/promotion.py says it.
        AND CASE a.factor WHEN 'totp' THEN h.step * a.period > p.shown_until + a.period
            WHEN 'hotp' THEN a.fences >= p.fences OR h.pair
            WHEN 'recovery_code' THEN statement_timestamp() > p.recovery_codes_wait_until
            ELSE true END
        AND h.application_id IS NOT NULL AND h.run < $21 AND h.named
        AND h.copy_version = h.cache_version
        -- As domain/budget.py says it (wait_after).
        AND (h.run < $38 OR extract(epoch FROM h.now - h.failed_at)
            >= least(3600, 30 * 2 ^ least(h.run - $38, 7)))
        AND h.level + CASE WHEN h.charged THEN 0 ELSE h.weight END <= $19
        AND NOT EXISTS (SELECT FROM answer w WHERE w.tenant_id = h.tenant_id
            AND w.application_id = h.application_id AND w.idempotency_key = h.idempotency_key
            AND w.at > h.now - $29::interval)
    RETURNING h.*, a.factor
), counted AS (
    -- Failures that were evaluated, of a name that is still this subject's.
    UPDATE subject s SET
        consecutive = s.consecutive + CASE WHEN h.recovery THEN 0 ELSE 1 END,
        spent = CASE WHEN h.recovery THEN s.spent ELSE h.after END,
        spent_at = CASE WHEN h.recovery THEN s.spent_at ELSE greatest(s.spent_at, h.now) END,
        failed_at = CASE WHEN h.recovery THEN s.failed_at ELSE greatest(s.failed_at, h.now) END,
        recovery_consecutive = s.recovery_consecutive + CASE WHEN h.recovery THEN 1 ELSE 0 END,
        recovery_failed_at = CASE WHEN h.recovery THEN greatest(s.recovery_failed_at, h.now)
            ELSE s.recovery_failed_at END,
        recovery_spent = CASE WHEN h.recovery THEN h.after ELSE s.recovery_spent END,
        recovery_spent_at = CASE WHEN h.recovery THEN greatest(s.recovery_spent_at, h.now)
            ELSE s.recovery_spent_at END
    FROM (SELECT *, level + CASE WHEN charged THEN 0 ELSE weight END AS after FROM held
        WHERE step IS NULL AND named) AS h
    WHERE s.tenant_id = h.tenant_id AND s.id = h.subject_ref
    RETURNING h.*, h.run + 1 AS failures
), refunded AS (
    -- A success ends the run of failures.
    UPDATE subject s SET
        consecutive = CASE WHEN t.recovery THEN s.consecutive ELSE 0 END,
        spent = CASE WHEN t.recovery THEN s.spent ELSE t.after END,
        spent_at = CASE WHEN t.recovery THEN s.spent_at ELSE greatest(s.spent_at, t.now) END,
        recovery_consecutive = CASE WHEN t.recovery THEN 0 ELSE s.recovery_consecutive END,
        recovery_spent = CASE WHEN t.recovery THEN t.after ELSE s.recovery_spent END,
        recovery_spent_at = CASE WHEN t.recovery THEN greatest(s.recovery_spent_at, t.now)
            ELSE s.recovery_spent_at END
    FROM (SELECT *, greatest(0, level - CASE WHEN charged THEN weight ELSE 0 END) AS after
        FROM took WHERE run > 0 OR charged) AS t
    WHERE s.tenant_id = t.tenant_id AND s.id = t.subject_ref
), done AS (
    SELECT n, tenant_id, key, event_id, type, body, NULL::uuid AS lock_event_id,
        NULL::text AS lock_body, 1 AS events, 0 AS consecutive, 0::float8 AS spent, cache_version
    FROM took
    UNION ALL
    SELECT n, tenant_id, key, event_id, type, body, lock_event_id, lock_body,
        CASE WHEN failures = $21 THEN 2 ELSE 1 END, failures, after, cache_version
    FROM counted
), ordered AS (
    -- The person's sequence, under the lock of its row.
    INSERT INTO event_order AS o (tenant_id, key, sequence)
    SELECT tenant_id, $22::text || ' ' || key, events FROM done ORDER BY 1, 2
    ON CONFLICT (tenant_id, key) DO UPDATE SET sequence = o.sequence + excluded.sequence
    RETURNING tenant_id, key, sequence
), said AS (
    SELECT d.tenant_id, d.key, d.event_id AS id, d.type, d.body,
        o.sequence - d.events + 1 AS sequence
    FROM done d JOIN ordered o ON o.tenant_id = d.tenant_id AND o.key = $22::text || ' ' || d.key
    UNION ALL
    SELECT d.tenant_id, d.key, d.lock_event_id, 'mfa.locked', d.lock_body, o.sequence
    FROM done d JOIN ordered o ON o.tenant_id = d.tenant_id AND o.key = $22::text || ' ' || d.key
    WHERE d.events = 2
), announced AS (
    INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, sequence)
    SELECT id, $22::text, key, type,
        convert_to('{"sequence":"' || sequence || '",' || substr(body, 2), 'UTF8'),
        tenant_id, sequence
    FROM said
), repeatable AS (
    INSERT INTO answer AS old (tenant_id, application_id, idempotency_key, request, event_id,
        authenticator_id, factor, at)
    SELECT tenant_id, application_id, idempotency_key, request, event_id, authenticator_id,
        factor, now
    FROM took WHERE idempotency_key IS NOT NULL
    -- In one order, so that two processes with the same keys do not wait for each other.
    ORDER BY tenant_id, application_id, idempotency_key
    -- An answer that counts, of a transaction that this statement could not see yet, is not
    -- replaced: its NULL undoes the whole statement, and the next one sees that answer.
    ON CONFLICT (tenant_id, application_id, idempotency_key) DO UPDATE
    SET request = CASE WHEN old.at <= excluded.at - $29::interval THEN excluded.request END,
        event_id = excluded.event_id, authenticator_id = excluded.authenticator_id,
        factor = excluded.factor, at = excluded.at
)
-- What is not in here was left out (left_out.sql says why), like acceptances without a caller.
SELECT h.n, d.n IS NOT NULL AS took_effect, d.consecutive, d.spent, h.cache_version,
    h.application_id IS NULL AS without_caller
FROM held h LEFT JOIN done d USING (n)
