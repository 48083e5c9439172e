-- Fewer indexes for Temporal's visibility database on PostgreSQL: less work for every workflow that starts and ends.
--
-- Why. Temporal's table executions_visibility has about 75 indexes, one for each column that anybody might filter by, most
-- of them for custom attributes that this service does not have. Every start and every end of a workflow writes the row,
-- and with it every index. On one machine the indexes below were 85 % of all WAL that a short workflow caused (67 KB
-- against 10) and 4 of its 15 ms of processor time.
--
-- What is lost. Nothing stops working: a filter on a column without an index reads the namespace's rows instead, which on
-- millions of rows takes seconds to minutes. That is the case for HistoryLength, HistorySizeBytes, ExecutionTime,
-- ExecutionDuration, StateTransitionCount, TaskQueue, ParentRunId, RootRunId, BuildIds, TemporalChangeVersion,
-- TemporalPauseInfo, TemporalReportedProblems, BatcherUser, TemporalScheduledStartTime, all of worker versioning
-- (TemporalWorkerDeployment..., TemporalWorkflowVersioningBehavior, TemporalUsedWorkerDeploymentVersions), and for
-- custom attributes of other types, or more of them, than this service's.
--
-- What stays. Start and close times (default_idx), WorkflowId, WorkflowType, ExecutionStatus; ParentWorkflowId and
-- RootWorkflowId, for the Web UI; TemporalNamespaceDivision, which schedules, batch jobs and worker deployments are listed
-- by; TemporalScheduledById, TemporalSchedulePaused; Keyword01 and 02 (FltrAccount, FltrEventType) and KeywordList01 to 03
-- (FltrDelivery, FltrEvent, FltrWebhook).
--
-- When not to run it. Where the database serves other namespaces too, whose attributes lie on the columns of the indexes
-- below (which columns those are: `temporal operator search-attribute list`, and the namespace's aliases); with worker
-- versioning; with Elasticsearch as the visibility store.
--
-- How. With psql (it knows \gexec), in the visibility database, as the owner of the table, also while Temporal runs:
--   psql --set ON_ERROR_STOP=1 --dbname temporal_visibility --file visibility-lean.sql
-- It can run again at any time. visibility-full.sql takes it back.
--
-- Upgrades. Tested: schema 1.9 (Temporal 1.29) and 1.14 (Temporal 1.31), and the upgrade from the one to the other on top
-- of it; new versions bring new indexes, so run it again afterwards. A version that would drop or rename one of these
-- indexes by name would fail on its absence: before an upgrade beyond those, run visibility-full.sql.

do $$
begin
  if (select string_to_array(curr_version, '.')::int[] from schema_version) < array[1, 9] then
    raise exception 'This visibility schema is older than 1.9 (Temporal 1.29): upgrade it first';
  end if;
end $$;

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
  'by_bool_01',
  'by_bool_02',
  'by_bool_03',
  'by_datetime_01',
  'by_datetime_02',
  'by_datetime_03',
  'by_double_01',
  'by_double_02',
  'by_double_03',
  'by_int_01',
  'by_int_02',
  'by_int_03',
  'by_keyword_03',
  'by_keyword_04',
  'by_keyword_05',
  'by_keyword_06',
  'by_keyword_07',
  'by_keyword_08',
  'by_keyword_09',
  'by_keyword_10',
  'by_text_01',
  'by_text_02',
  'by_text_03',
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
