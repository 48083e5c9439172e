-- Fewer indexes for Temporal's visibility database on PostgreSQL: less work for every workflow that starts and ends.
--
-- Why. Temporal's table executions_visibility has 74 indexes: one for each column that somebody might filter by.
-- Every start and every end of a workflow writes its row, and with it every index, also of columns that hold nothing.
-- Measured on two cores with nine indexes left, for a workflow with one short activity: 12.9 ms of processor time instead
-- of 17.7 (all parts together), 12 KB of WAL instead of 66. This file leaves 15.
--
-- The effect. Nothing stops working: a filter on a column without an index reads the namespace's rows instead, which on
-- millions of rows takes seconds to minutes. That is the case for ExecutionTime, ExecutionDuration, HistoryLength,
-- HistorySizeBytes, StateTransitionCount, TaskQueue, ParentRunId, RootRunId, BuildIds, BinaryChecksums,
-- TemporalChangeVersion, TemporalPauseInfo, TemporalReportedProblems, BatcherUser, TemporalScheduledStartTime,
-- TemporalExternalPayload..., and those of worker versioning (TemporalWorkerDeployment...,
-- TemporalWorkflowVersioningBehavior, TemporalUsedWorkerDeploymentVersions): do not run this where it is used.
--
-- These stay. Start and close times (default_idx), WorkflowId, WorkflowType, ExecutionStatus; ParentWorkflowId and
-- RootWorkflowId, for the Web UI; TemporalNamespaceDivision, by which schedules, batch jobs and worker deployments are
-- listed; TemporalScheduledById, TemporalSchedulePaused; and every custom attribute in use, of any namespace.
--
-- Custom attributes. Temporal puts a namespace's attributes on columns that it picks at random among those of their type
-- (Keyword01 to Keyword10, ...): which ones, only the namespace knows, and the rows show. In use is a column that any row
-- has a value in, or that is named like this:
--   PGOPTIONS="-c fltr.columns=Keyword01,Keyword03,Keyword07,Keyword08,KeywordList02" psql ...
-- (`temporal operator namespace describe --output json` shows them as customSearchAttributeAliases.) The
-- service uses four Keyword columns and one of KeywordList. While fewer are known, all columns of that type keep their
-- indexes: so run this again after the first deliveries.
--
-- How. With psql (it knows \gexec), in the visibility database, as the owner of the table, also while Temporal runs:
--   psql --set ON_ERROR_STOP=1 --dbname temporal_visibility --file visibility-lean.sql
-- It can run again at any time. visibility-full.sql undoes it.
--
-- Upgrades. Tested: schema 1.9 (Temporal 1.29) and 1.14 (Temporal 1.31), and the upgrade from the one to the other on top
-- of this. New versions bring new indexes: run it again afterwards. A later version that drops or renames one of these
-- indexes by name would fail on its absence: before an upgrade beyond 1.14 run visibility-full.sql.

do $$
begin
  if (select string_to_array(curr_version, '.')::int[] from schema_version) < array[1, 9] then
    raise exception 'This visibility schema is older than 1.9 (Temporal 1.29): upgrade it first';
  end if;
end $$;

-- Temporal's own columns.
select format('drop index concurrently if exists %I', name)
from unnest(array[
  'by_execution_time',
  'by_history_length',
  'by_history_size_bytes',
  'by_execution_duration',
  'by_state_transition_count',
  'by_task_queue',
  'by_parent_run_id',
  'by_root_run_id',
  'by_temporal_change_version',
  'by_binary_checksums',
  'by_build_ids',
  'by_temporal_pause_info',
  'by_temporal_reported_problems',
  'by_temporal_worker_deployment_version',
  'by_temporal_workflow_versioning_behavior',
  'by_temporal_worker_deployment',
  'by_used_deployment_versions',
  'by_batcher_user',
  'by_temporal_scheduled_start_time',
  'by_temporal_external_payload_size_bytes',
  'by_temporal_external_payload_count',
  'by_temporal_bool_01',
  'by_temporal_bool_02',
  'by_temporal_datetime_01',
  'by_temporal_datetime_02',
  'by_temporal_double_01',
  'by_temporal_double_02',
  'by_temporal_int_01',
  'by_temporal_int_02',
  'by_temporal_keyword_01',
  'by_temporal_keyword_02',
  'by_temporal_keyword_03',
  'by_temporal_keyword_04',
  'by_temporal_low_cardinality_keyword_01',
  'by_temporal_keyword_list_01',
  'by_temporal_keyword_list_02'
]) as name
\gexec

-- Columns for custom attributes.
with used as (
  select lower(key) as indexed from executions_visibility cross join jsonb_object_keys(search_attributes) as key
  union
  select lower(trim(name)) from unnest(string_to_array(current_setting('fltr.columns', true), ',')) as name
)
select format('drop index concurrently if exists %I', name)
from (values
  ('by_bool_01', 'bool01'),
  ('by_bool_02', 'bool02'),
  ('by_bool_03', 'bool03'),
  ('by_datetime_01', 'datetime01'),
  ('by_datetime_02', 'datetime02'),
  ('by_datetime_03', 'datetime03'),
  ('by_double_01', 'double01'),
  ('by_double_02', 'double02'),
  ('by_double_03', 'double03'),
  ('by_int_01', 'int01'),
  ('by_int_02', 'int02'),
  ('by_int_03', 'int03'),
  ('by_keyword_01', 'keyword01'),
  ('by_keyword_02', 'keyword02'),
  ('by_keyword_03', 'keyword03'),
  ('by_keyword_04', 'keyword04'),
  ('by_keyword_05', 'keyword05'),
  ('by_keyword_06', 'keyword06'),
  ('by_keyword_07', 'keyword07'),
  ('by_keyword_08', 'keyword08'),
  ('by_keyword_09', 'keyword09'),
  ('by_keyword_10', 'keyword10'),
  ('by_keyword_list_01', 'keywordlist01'),
  ('by_keyword_list_02', 'keywordlist02'),
  ('by_keyword_list_03', 'keywordlist03'),
  ('by_text_01', 'text01'),
  ('by_text_02', 'text02'),
  ('by_text_03', 'text03')
) as custom (name, indexed)
where indexed not in (select indexed from used)
  and (indexed !~ '^keyword\d' or 4 <= (select count(*) from used where indexed ~ '^keyword\d'))
  and (indexed !~ '^keywordlist' or 1 <= (select count(*) from used where indexed ~ '^keywordlist'))
\gexec
