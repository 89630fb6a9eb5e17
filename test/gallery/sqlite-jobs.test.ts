import { jobStatesContract } from '../contract/job-states.js'
import { jobsContract } from '../contract/jobs.js'
import { newDir, openCatalogue } from './places.js'

const HEADER = { fingerprint: 'a'.repeat(64), dimension: 4 }

jobsContract('sqlite', (header) => openCatalogue(newDir(), header))
jobStatesContract('sqlite', () => openCatalogue(newDir(), HEADER))
