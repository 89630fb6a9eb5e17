import { jobsContract } from '../contract/jobs.js'
import { newDir, openCatalogue } from './places.js'

jobsContract('sqlite', (stamp) => openCatalogue(newDir(), stamp))
