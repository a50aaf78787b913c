"""Every bound, by name and with its unit. A bound that is not here does not exist."""

# Requests
CANCEL_BATCH_JOBS_MAX = 500
CANCEL_WAIT_SECONDS_MAX = 1.0
"""For jobs that others hold just now; then they are left out."""
SUBMIT_BATCH_JOBS_MAX = 500
BODY_BYTES_MAX = 1024 * 1024
SUBMIT_BODY_BYTES_MAX = 8 * 1024 * 1024
SMALL_BODY_BYTES_MAX = 64 * 1024
"""More than this is held for so many requests at once as their pool has threads."""
BODY_SECONDS_MAX = 30
HEADER_BYTES_MAX = 64 * 1024
HEADER_SECONDS_MAX = 10.0
"""From connecting, TLS included, or from the answer before."""
ANSWER_SECONDS_MAX = 30.0
"""For a client to take something of an answer."""
CONNECTIONS_MAX = 2_000
"""Beyond, the one that has waited the longest for its client is closed."""
ACCEPT_AGAIN_SECONDS = 0.05
JSON_DEPTH_MAX = 32
JSON_ITEM_BYTES_MAX = 128 * 1024
CSV_FIELD_CHARACTERS_MAX, CSV_ROW_CHARACTERS_MAX = 64 * 1024, 128 * 1024
CSV_LINES_MAX = 50_000
"""Of one request; blank ones, and those within cells, too."""
PARSE_PORTION_BYTES = 64 * 1024
"""Of a JSON text that is looked through at once, while no other thread has its turn."""
LOGIN_FIELDS_MAX = 20
REASON_CHARACTERS_MAX = 1_000
REASON_CHARACTERS_SHOWN = 500
"""In a line of the service's log."""
REFERENCE_ID_CHARACTERS_MAX = 255
ITEM_VALUE_CHARACTERS_SHOWN = 60
PAGE_JOBS_DEFAULT, PAGE_JOBS_MAX = 50, 200
PAGE_OFFSET_MAX = 10**15
PAGE_RUNS_MAX = 1_000
PAGE_OUTCOMES_SHOWN = 20
"""Refusals of an operation that a page names."""
PAGE_LOG_BYTES = 64 * 1024
"""The end of a log, on the page of its job."""
CHART_PERIODS, CHART_PERIOD_SECONDS = 96, 900
"""The last day."""
FORM_FIELDS_MAX = 500
PATH_CHARACTERS_MAX = 16 * 1024
"""To come back to: it stands in a header, within another path."""

# Queries
QUERY_CHARACTERS_MAX = 50_000
QUERY_CHARACTERS_SHOWN = 1_000
QUERY_DEPTH_MAX = 32
QUERY_CONDITIONS_MAX = 500
"""What plans a query compares each with each."""
QUERY_ROWS_DEFAULT, QUERY_ROWS_MAX = 1_000, 1_000
"""In one page."""
CURSOR_SECONDS = 3_600
"""From the last use of a query's pages."""
CURSOR_IDS_MAX = 100_000
CURSORS_MAX = 32
"""Of one user; the oldest goes first."""
SELECTION_JOBS_MAX, SELECTION_JOBS_SHOWN = 1_000_000, 20
SELECTION_PART_JOBS = 1_000
"""In one row."""
SQLITE_OPERATION_BATCH_JOBS, POSTGRES_OPERATION_BATCH_JOBS = 250, 500
"""In one transaction; parts can be divided by it. On SQLite every cancel may have to wait for it,
on PostgreSQL that of one of its jobs.
"""
SELECTION_PARTS_AT_ONCE = 100
"""In one transaction."""
SELECTION_SECONDS = 15 * 60
"""In which operations can be begun on it."""
SELECTIONS_MAX = 100
"""Of one user, that have not expired."""
OPERATIONS_RUNNING_MAX = 32
"""Of one user."""
OPERATIONS_AT_ONCE = 100
"""Of all that run: the oldest, in turns."""
OUTCOMES_PAGE_DEFAULT, OUTCOMES_PAGE_MAX = 50, 1_000
UNDO_SECONDS = 24 * 3_600
"""After its end an operation can be undone."""
QUERY_STEPS = 10_000
"""Of SQLite's virtual machine, between two looks at the clock."""
QUERY_SECONDS_DEFAULT, QUERY_SECONDS_MAX = 10.0, 3_600.0

# Pools of threads: requests at work at once. The fewer there are, the more turns a cancel has.
WRITE_REQUESTS_MAX = 8
SUBMIT_REQUESTS_MAX = 2
READ_REQUESTS_MAX = 4
QUERY_REQUESTS_MAX = 3
LOGIN_REQUESTS_MAX = 2
LIVE_LOOKS_MAX = 2
"""Of pages that go on, at once."""
LIVE_LOOK_SECONDS, LIVE_LOOK_SHARE = 0.5, 0.25
"""From one look for a page that goes on to the next; and the part of a process's time that all may
take together: where they take long, the next come later."""
LIVE_SESSION_SECONDS = 10.0
"""Between two looks at the session of who watches."""
LIVE_STREAMS_MAX, LIVE_STREAMS_OF_USER_MAX = 500, 50

THREAD_TURN_SECONDS = 0.001
"""Of one that others wait for."""

# Burst accounting, per user
BURST_WINDOW_SECONDS = 300
BURST_REQUESTS_MAX = 2_000
RESPONSE_DELAY_SECONDS = 0.5
"""Beyond the burst limit in profile vault."""
STATUS_POLL_SECONDS = 10.0
"""Between two answers about one job in profile vault."""

# Jobs
JOB_ID_MAX = 2**63 - 1
NAME_CHARACTERS_MAX = 40
TITLE_CHARACTERS_MAX = 1_500
UNIQUE_KEY_CHARACTERS_MAX = 255
PARAMETERS_BYTES_MAX = 8_192
RESULT_BYTES_MAX = 65_536
ERROR_BYTES_MAX = 65_536
PRIORITY_MIN, PRIORITY_DEFAULT, PRIORITY_MAX = 1, 50, 100
GRACE_SECONDS_DEFAULT, GRACE_SECONDS_MAX = 10.0, 3_600.0
INTERRUPT_SECONDS_DEFAULT = 1.0
TERMINATE_SECONDS_DEFAULT, TERMINATE_SECONDS_MAX = 0.25, 60.0
TIMEOUT_MINUTES_DEFAULT, TIMEOUT_MINUTES_MAX = 23 * 60, 4_320
PROGRESS_MAX = 2**53 - 1
RUNS_PER_PROCESS_MAX = 100_000
ATTEMPTS_MAX = 100
RETRY_SECONDS_DEFAULT, RETRY_SECONDS_MAX = 10.0, 86_400.0
LOSSES_MAX = 5
"""Of a job that is idempotent and sets no ``attempts_max``: so often may it lose its worker."""
JOB_UNKNOWN_SECONDS_MAX = 86_400

# What is kept, and for how long
RETENTION_DAYS_DEFAULT, RETENTION_DAYS_MAX = 30, 3_650
"""Of finished jobs, with their events and logs."""
IDEMPOTENCY_SECONDS = 86_400
IDEMPOTENCY_KEY_CHARACTERS_MAX = 255
PRUNE_POLL_SECONDS = 60.0
PRUNE_AGAIN_SECONDS = 0.1
"""While there is more to delete."""
PRUNE_BATCH_PINNED_MAX = 1
"""Selections, or operations, each of which may have a million jobs."""
SELECTION_MARGIN_SECONDS = 60
"""It is deleted so long after it has expired: whoever has just begun an operation on it is done."""
PRUNE_BATCH_JOBS_MAX = 50
"""Each may have a whole log."""

# Logs: the first and the last part of a job's log are kept
LOG_BYTES_MAX = 1024 * 1024
LOG_POSITION_MAX = 2**53 - 1
LOG_LINE_BYTES_MAX = 16 * 1024
LOG_CHUNK_BYTES_MAX = 64 * 1024
LOG_TAIL_BYTES = LOG_BYTES_MAX // 2
LOG_HEAD_BYTES = LOG_BYTES_MAX // 2 - LOG_CHUNK_BYTES_MAX
"""A chunk that starts within the head is kept whole."""

SERVICE_LOG_LINES_PER_SECOND = 200
"""Of the service itself; more are counted."""

LOG_BURST_BYTES = 512 * 1024
"""That a run may log at once, more than the head that is kept; beyond that, lines wait in a ring of
``LOG_TAIL_BYTES``."""
LOG_BYTES_PER_SECOND = 128 * 1024
LOG_SPOOL_SECONDS = 0.25
"""Between two portions of what waits."""
FLOOD_PAUSES = 3
"""After reading from a flood, a keeper reads nothing for this many times as long."""
LINES_BEGUN_MAX = 1_000
"""By threads of one run, and not ended."""
ALIVE_SECONDS = 0.1
"""Between two signs of life of a run whose output makes no line."""

# Engines
FRAME_BYTES_MAX = 1024 * 1024
LAST_WORDS_BYTES_MAX, LAST_WORDS_PACKETS_MAX = 4 * 1024 * 1024, 10_000
"""Of what a run that has ended had printed and said."""
KILL_LOOK_SECONDS_MIN, KILL_LOOK_SECONDS_MAX = 0.005, 0.5
"""Between two looks at what SIGKILL has not ended yet."""
STUBBORN_SECONDS = 1.0
"""What survives SIGKILL for so long is named in the job's log."""
INIT_ANSWER_SECONDS = 1.5
"""An init that was ordered to kill and says nothing for so long is taken for lost."""
BIRTH_SECONDS_MAX = 5.0
"""A warm parent that has not forked after this long stands still, and so does a run that is not
ready then, imports apart."""
STRAY_LOOKS = 3
"""Without finding anything, before a lost keeper's orphans are taken for ended."""
DESCRIPTORS_NAMED_MAX = 20
LEAVE_SECONDS = 0.25
"""For what a function that has ended has left behind: threads, exit functions; then for SIGTERM."""
HELPERS_SECONDS = 1.0
"""For multiprocessing's helpers to see that nobody needs them any more, and to clean up."""
PREPARE_SECONDS = 0.1
"""For a run that is to be interrupted to say what it waits for."""
INTERRUPT_AGAIN_SECONDS_MIN, INTERRUPT_AGAIN_SECONDS_MAX = 0.01, 0.1
"""Between two looks at a main thread that was where nothing can be raised."""
KEEPER_RESTART_SECONDS = 1.0
KEEPER_LOOK_SECONDS = 0.5
"""After a suspension, a run whose time is up is killed this late at the most. So often, too, it is
seen that no keeper stands still."""
IMPORT_SECONDS_MAX = 30.0
"""For a job module."""
THREAD_ENDS_SECONDS, THREAD_ENDS_LOOKS = 0.5, 50
"""For a thread that importing has left and Python does not know: it may be about to end."""
SLOTS_MAX = 1_000
NODE_CONNECT_SECONDS = 10.0
"""For a keeper on a node of a cluster to reach its worker."""
NODE_HELLO_BYTES_MAX, NODE_HELLO_SECONDS, NODE_HELLOS_MAX = 4 * 1024, 5.0, 100
"""Of whoever connects to a worker and has proved nothing yet."""
NODE_ACCEPTS_MAX = 20
"""So many are let in, and heard, before keepers are heard again."""
NODE_BEAT_SECONDS = 2.0
"""Between two questions of a keeper on a node whether it may go on."""
NODE_SECONDS = 30.0
"""A worker without a lease lets keepers on nodes be silent for so long."""
NODE_IDLE_SECONDS = 5.0
"""A keeper on a node waits for another run like its last; then its place is given back."""
PLACE_SECONDS_MAX = 30.0
"""For a cluster to find a place for a run, and for its keeper to be ready; then its job waits in
its queue again."""
PLACE_SLOW_SECONDS, PLACE_AGAIN_SECONDS = 10.0, 30.0
"""As long as a cluster looks for a place for longer, no more like it is asked for; nor for a while
after it has found none."""
PLACER_POLL_SECONDS, PLACER_AGAIN_SECONDS, PLACER_REACH_SECONDS = 0.1, 5.0, 60.0
"""Between two looks of the program that speaks with Ray; before it is started again; for it to
reach Ray, or to say nothing."""
CPUS_MAX, MEMORY_MIB_MAX = 10_000.0, 64 * 1024 * 1024

# Sessions and passwords
SESSION_INACTIVE_SECONDS_DEFAULT = 20 * 60
SESSION_SECONDS_MAX = 48 * 3_600
SESSION_TOUCH_SECONDS = 60
"""Activity is written down at most this often; a session lives this much longer, never shorter."""
USER_NAME_CHARACTERS_MAX = 255
PASSWORD_CHARACTERS_MIN, PASSWORD_CHARACTERS_MAX = 8, 1_024
SIGN_INS_PER_MINUTE_MAX, SIGN_INS_PER_MINUTE_ON_TIME = 20, 10
"""Of one user name: beyond the second they are answered late and, in profile vault, beyond the
first refused. In profile open only wrong ones count."""
WRONG_PASSWORD_DELAY_SECONDS = 1.0
SIGN_IN_FAILURES_MAX, LOCKED_OUT_SECONDS = 5, 15 * 60
"""In profile vault."""
SIGN_IN_NAMES_MAX = 10_000
"""Whose sign-ins are counted."""

# Leases, where workers share a database
LEASE_SECONDS_DEFAULT, LEASE_SECONDS_MIN, LEASE_SECONDS_MAX = 30.0, 8.0, 3_600.0
LEASE_RENEWALS = 6
"""A lease is renewed this often in its time; an answer is waited for that long,"""
LEASE_ANSWER_SECONDS_MIN = 2.0
"""but for so long at least."""
LEASE_MARGIN_SECONDS = 4.0
"""A run whose lease was not renewed is killed this long before the lease is over."""

# Loops
SCHEDULER_POLL_SECONDS_MAX = 5.0
WORKER_POLL_SECONDS = 1.0
CANCELLER_POLL_SECONDS = 0.5
OPERATOR_POLL_SECONDS = 1.0
OPERATOR_WAIT_SECONDS = 0.25
"""For a unique key that somebody else is about to take."""
OPERATOR_HELD_SECONDS, OPERATOR_HELD_TRIES = 0.05, 40
"""While somebody else holds jobs of a batch; then they are left out."""
RESCUER_POLL_SECONDS = 3.0
TAKEOVER_POLL_SECONDS, TAKEOVER_IDLE_SECONDS = 0.1, 3_600.0
"""On SQLite: whether keepers of an earlier service have ended."""
DUE_SECONDS_MIN = 0.01
"""What is due but held by another transaction is tried again after this long."""
LOOP_BATCH_JOBS_MAX = 500
LOOP_ERROR_SECONDS = 1.0
HEARTBEAT_SECONDS = 30.0
OBSTACLES_SECONDS = 5.0
"""So often at the most a worker says that it starts no jobs of some names, or does again."""
NAME_KNOWN_SECONDS = 90.0
"""A name that no worker has said for so long is known to none that is alive."""
SCHEMA_POLL_SECONDS = 5.0
WORKER_FORGOTTEN_SECONDS = 86_400
"""A worker that has not been heard of for so long is forgotten."""
DRAIN_SECONDS_DEFAULT = 10.0
STOP_SECONDS_MAX = 10.0
"""Beyond draining and grace: for ending processes, and for a store that is away."""
FAIL_POLL_SECONDS = 60.0
FAIL_GAP_SECONDS = 60.0
FAIL_SETTLE_SECONDS = 600.0
"""After such a gap, workers have this long to say that they live before a job is given up."""
READY_CHECK_SECONDS = 1.0

# Clients
CLIENT_ANSWER_SECONDS_MAX = 60.0
CLIENT_TRIES = 6
CLIENT_AGAIN_SECONDS_MIN, CLIENT_AGAIN_SECONDS_MAX = 0.1, 3.0
"""Before the second try, and before any."""
CLIENT_POLL_SECONDS_MIN, CLIENT_POLL_SECONDS_MAX = 0.05, 2.0
"""Between two looks at what is waited for: each is half as long again as the one before."""

# SQLite
SQLITE_BUSY_SECONDS_MAX = 10.0
SQLITE_WAL_TRIES, SQLITE_WAL_TRY_SECONDS = 500, 0.01
"""To bring a new file to its journal mode, while others do the same."""
SQLITE_WAL_BYTES_KEPT = 8 * 1024 * 1024
"""A log that a long read has made longer is cut to this when it can be."""
SQLITE_READERS_MAX = 32
"""More than all that read at once, so that a slow read never holds up a cancel."""

# What a worker keeps in memory before it writes
LOG_FLUSH_SECONDS = 0.25
CLAIM_NEAR_JOBS = 16
"""That a claim looks at beyond those it may take: others may hold, or just have taken, some."""
CLAIM_FAR_JOBS = 2000
"""Where others hold all of those: more than a few bulk cancels."""
START_HOLD_SECONDS_MAX = 60.0
"""No profile has a longer start hold."""
REPORT_AGAIN_SECONDS = 0.05
"""When an end is written again that somebody else's lock has kept from being written."""
LOG_WRITES_MAX = 3
"""Tries to append, beside another who does."""
LOG_FLUSH_BYTES_MAX = 512 * 1024
"""In one statement; more waits for the next."""
LOG_PENDING_BYTES_MAX = 16 * 1024 * 1024

# PostgreSQL
POSTGRES_CONNECTIONS_MAX = (
    WRITE_REQUESTS_MAX
    + SUBMIT_REQUESTS_MAX
    + READ_REQUESTS_MAX
    + QUERY_REQUESTS_MAX
    + LOGIN_REQUESTS_MAX
    + LIVE_LOOKS_MAX
    + 8
)
"""For all requests and all loops at once."""
POSTGRES_WAIT_SECONDS_MAX = 5.0
"""For a connection of the pool, or for the server to be there at all."""
POSTGRES_TRIES = 10
"""In that time."""
POSTGRES_TRUST_SECONDS = 1.0
"""A connection that was used so lately is not tried before it is used again."""
POSTGRES_RECONNECT_SECONDS = 1.0
"""Who waits for a connection makes the pool try again after this long."""
POSTGRES_LOCK_SECONDS_MAX = 5.0
POSTGRES_IDLE_SECONDS_MAX = 5.0
"""In a transaction: a process that stands still must not hold up the others."""
POSTGRES_STATEMENT_SECONDS_MAX = 30.0
NOTIFY_SECONDS_MIN = 0.01
"""Between two wake-ups that a process sends to the others."""
EXCHANGE_POLL_SECONDS = 5.0
