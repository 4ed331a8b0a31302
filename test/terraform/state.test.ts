import t from 'tap';
import { holds } from './terraform.ts';

holds(t, 'state');
