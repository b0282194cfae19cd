-- Settle a batch: one statement, one commit. Subjects are locked first, and no lock is waited for.
-- $1..$18 are arrays, one element an entry (an entry without a step is a failure), and so is $30;
-- then the budget and the topics; then the callers that the entries speak of, as this process knows
-- them; then how far a clock may be off, and what waits after a promotion; then their policies.
WITH entry AS (
    SELECT *, e.tenant_id || '/' || e.subject_ref AS key,
        $22::text || ' ' || e.tenant_id || '/' || e.subject_ref AS counted,
        -- By the clock of PostgreSQL, which is the same for all nodes.
        e.now BETWEEN statement_timestamp() - $31::interval
            AND statement_timestamp() + $32::interval AS timely
    FROM unnest($1::int[], $2::uuid[], $3::uuid[], $4::bytea[], $5::timestamptz[], $6::float8[],
        $7::bool[], $8::uuid[], $9::text[], $10::text[], $11::text[], $12::uuid[],
        $13::uuid[], $14::int[], $15::bigint[], $16::int[], $17::bytea[], $18::bytea[], $30::bool[])
    AS e (n, tenant_id, subject_ref, lookup, now, weight,
        charged, event_id, type, body, lock_body, lock_event_id,
        authenticator_id, epoch, step, caller, idempotency_key, request, pair)
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
    -- its commit. One whose row somebody else has locked is left out, as below: nobody waits for the
    -- lock of another.
    SELECT c.n, c.application_id
    FROM unnest($24::int[], $25::uuid[], $26::uuid[], $27::text[], $28::bigint[], $36::bigint[])
        AS c (n, tenant_id, application_id, key, version, policy_version)
    JOIN replica r ON r.tenant_id = c.tenant_id AND r.topic = $23 AND r.key = c.key
        AND r.version = c.version AND NOT r.deleted
    JOIN replica p ON p.tenant_id = c.tenant_id AND p.topic = $35 AND p.key = c.key
        AND p.version = c.policy_version AND NOT p.deleted
    ORDER BY r.tenant_id, r.key FOR SHARE OF r SKIP LOCKED
), held AS MATERIALIZED (
    -- The subjects' rows, locked, with the bucket as it stands now.
    SELECT e.n, s.tenant_id, s.id, s.consecutive, s.lookup,
        greatest(0, s.spent - $20 * greatest(0, extract(epoch FROM e.now - s.spent_at))) AS level
    FROM subject s JOIN entry e ON s.tenant_id = e.tenant_id AND s.id = e.subject_ref
    WHERE e.timely AND (SELECT known FROM promoted)
    ORDER BY s.tenant_id, s.id FOR UPDATE OF s SKIP LOCKED
), took AS (
    -- The compare-and-set: a code that is not newer, a lock, a full bucket, another name, another
    -- key of the application or an Idempotency-Key that was used change no row. A step is the time
    -- step of TOTP and the counter of HOTP; of recovery codes it is the place in the set, a bit of
    -- `used`; a PIN is not spent.
    UPDATE authenticator a SET
        last_step = CASE WHEN a.factor IN ('recovery_code', 'pin') THEN a.last_step ELSE e.step END,
        used = CASE a.factor WHEN 'recovery_code' THEN a.used | (1::bigint << e.step::int)
            ELSE a.used END,
        fences = p.fences
    FROM promoted p, entry e JOIN held h USING (n) JOIN caller c ON c.n = e.caller
    WHERE a.tenant_id = e.tenant_id AND a.id = e.authenticator_id
        AND a.subject_ref = e.subject_ref AND a.status = 'active' AND a.epoch = e.epoch
        AND CASE a.factor WHEN 'pin' THEN true
            WHEN 'recovery_code' THEN a.used & (1::bigint << e.step::int) = 0
            ELSE a.last_step < e.step END
        -- As domain/promotion.py says it.
        AND CASE a.factor WHEN 'totp' THEN e.step * a.period > p.shown_until + a.period
            WHEN 'hotp' THEN a.fences >= p.fences OR e.pair
            WHEN 'recovery_code' THEN statement_timestamp() > p.recovery_codes_wait_until
            ELSE true END
        AND h.consecutive < $21 AND h.lookup = e.lookup
        AND h.level + CASE WHEN e.charged THEN 0 ELSE e.weight END <= $19
        AND NOT EXISTS (SELECT FROM answer w WHERE w.tenant_id = e.tenant_id
            AND w.application_id = c.application_id AND w.idempotency_key = e.idempotency_key
            AND w.at > e.now - $29::interval)
    RETURNING e.n, c.application_id, a.factor
), counted AS (
    -- Failures that were evaluated, of a name that is still this subject's.
    UPDATE subject s SET consecutive = s.consecutive + 1, spent_at = greatest(s.spent_at, e.now),
        spent = h.level + CASE WHEN e.charged THEN 0 ELSE e.weight END
    FROM entry e JOIN held h USING (n)
    WHERE e.step IS NULL AND h.lookup = e.lookup
        AND s.tenant_id = e.tenant_id AND s.id = e.subject_ref
    RETURNING e.n, s.consecutive, s.spent
), refunded AS (
    -- A success ends the run of failures.
    UPDATE subject s SET consecutive = 0, spent_at = greatest(s.spent_at, e.now),
        spent = greatest(0, h.level - CASE WHEN e.charged THEN e.weight ELSE 0 END)
    FROM took JOIN entry e USING (n) JOIN held h USING (n)
    WHERE s.tenant_id = e.tenant_id AND s.id = e.subject_ref AND (s.consecutive > 0 OR e.charged)
), done AS (
    SELECT n, 0 AS consecutive, 1 AS events, 0::float8 AS spent FROM took
    UNION ALL
    SELECT n, consecutive, CASE WHEN consecutive = $21 THEN 2 ELSE 1 END, spent FROM counted
), ordered AS (
    -- The person's sequence, under the lock of its row.
    INSERT INTO event_order AS o (tenant_id, key, sequence)
    SELECT e.tenant_id, e.counted, d.events
    FROM done d JOIN entry e USING (n) ORDER BY 1, 2
    ON CONFLICT (tenant_id, key) DO UPDATE SET sequence = o.sequence + excluded.sequence
    RETURNING tenant_id, key, sequence
), said AS (
    SELECT e.tenant_id, e.key, e.event_id AS id, e.type, e.body,
        o.sequence - d.events + 1 AS sequence
    FROM done d JOIN entry e USING (n)
        JOIN ordered o ON o.tenant_id = e.tenant_id AND o.key = e.counted
    UNION ALL
    SELECT e.tenant_id, e.key, e.lock_event_id, 'mfa.locked', e.lock_body, o.sequence
    FROM done d JOIN entry e USING (n)
        JOIN ordered o ON o.tenant_id = e.tenant_id AND o.key = e.counted
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
    SELECT e.tenant_id, t.application_id, e.idempotency_key, e.request, e.event_id,
        e.authenticator_id, t.factor, e.now
    FROM took t JOIN entry e USING (n) WHERE e.idempotency_key IS NOT NULL
    -- An answer that counts, of a transaction that this statement could not see yet, is not
    -- replaced: its NULL undoes the whole statement, and the next one sees that answer.
    ON CONFLICT (tenant_id, application_id, idempotency_key) DO UPDATE
    SET request = CASE WHEN old.at <= excluded.at - $29::interval THEN excluded.request END,
        event_id = excluded.event_id, authenticator_id = excluded.authenticator_id,
        factor = excluded.factor, at = excluded.at
), busy AS (
    -- Callers that are left out though nothing has changed.
    SELECT c.n
    FROM unnest($24::int[], $25::uuid[], $26::uuid[], $27::text[], $28::bigint[], $36::bigint[])
        AS c (n, tenant_id, application_id, key, version, policy_version)
    JOIN replica r ON r.tenant_id = c.tenant_id AND r.topic = $23 AND r.key = c.key
        AND r.version = c.version AND NOT r.deleted
    JOIN replica p ON p.tenant_id = c.tenant_id AND p.topic = $35 AND p.key = c.key
        AND p.version = c.policy_version AND NOT p.deleted
    WHERE (SELECT count(*) FROM caller) < cardinality($24)
        AND NOT EXISTS (SELECT FROM caller k WHERE k.n = c.n)
)
SELECT n, consecutive, spent, NULL AS not_settled FROM done
UNION ALL
SELECT e.n, 0, 0, CASE WHEN NOT p.known THEN 'promoted' WHEN NOT e.timely THEN 'clock'
    ELSE 'locked' END
FROM entry e, promoted p
WHERE (SELECT count(*) FROM held) < cardinality($1)
    AND NOT EXISTS (SELECT FROM held h WHERE h.n = e.n)
    AND (NOT p.known OR NOT e.timely OR EXISTS (
        SELECT FROM subject s WHERE s.tenant_id = e.tenant_id AND s.id = e.subject_ref))
UNION ALL
SELECT e.n, 0, 0, 'locked' FROM entry e JOIN held h USING (n) JOIN busy b ON b.n = e.caller
WHERE e.step IS NOT NULL
