-- Why entries were left out of a batch that has just been settled: asked only where some were.
-- $1..$8 are arrays, one element an entry; then how far a clock may be off, and the topics.
SELECT e.n, CASE
    WHEN NOT (SELECT timeline = current_timeline() FROM promotion WHERE only_row) THEN 'promoted'
    WHEN e.now NOT BETWEEN statement_timestamp() - $9::interval
        AND statement_timestamp() + $10::interval THEN 'clock'
    -- A name that is nobody's, or a caller that is not what this process took it for.
    WHEN NOT EXISTS (SELECT FROM subject s
        WHERE s.tenant_id = e.tenant_id AND s.id = e.subject_ref) THEN 'nothing'
    WHEN e.accepts AND NOT EXISTS (SELECT FROM replica r JOIN replica p
            ON p.tenant_id = r.tenant_id AND p.topic = $12 AND p.key = r.key
        WHERE r.tenant_id = e.tenant_id AND r.topic = $11 AND r.key = e.key
            AND r.version = e.version AND NOT r.deleted
            AND p.version = e.policy_version AND NOT p.deleted) THEN 'nothing'
    ELSE 'locked' END
FROM unnest($1::int[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::bool[], $6::text[],
    $7::bigint[], $8::bigint[])
    AS e (n, tenant_id, subject_ref, now, accepts, key, version, policy_version)
